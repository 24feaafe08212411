"""A pass of a network that its batch norms do not remember."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn

_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@contextmanager
def unrecorded(network: nn.Module) -> Generator[None]:
    """Batch norms inside normalise as they would, but leave their running statistics and counters as they are."""
    norms = [module for module in network.modules() if isinstance(module, _NORMS) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
