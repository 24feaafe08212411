"""Layers that keep little for their gradients and compute the rest again: same numbers, less memory, more time.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, https://arxiv.org/abs/1604.06174.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_CONVOLUTIONS = nn.Conv2d | nn.Conv3d

Piece = Callable[..., Any]


class Chain(nn.Module, ABC):
    """Layers that are pieces in a row, although they are no ``nn.Sequential``."""

    @abstractmethod
    def pieces(self) -> Sequence[Piece]:
        """Each takes what the one before gives, a tensor or a tuple."""

    def forward(self, images: Tensor) -> Tensor:
        passed: Any = images
        for piece in self.pieces():
            passed = piece(*_several(passed))
        return passed


def sees_each_alone(layers: nn.Module) -> bool:
    """Whether rows of a batch may pass one after the other with the numbers of all together: no batch statistics are
    taken in the present mode, and nothing is drawn."""
    return not any(module.training and (isinstance(module, _NORMS) or _draws(module)) for module in layers.modules())


def in_parts(layers: nn.Module, images: Tensor, size: int) -> Tensor:
    """``layers(images)``, ``size`` rows at a time, of which only input and output are kept. For layers that see each
    row alone."""
    return torch.cat([_again(layers, layers, part) for part in images.split(size)])


def in_blocks(layers: nn.Module, images: Tensor) -> Tensor:
    """``layers(images)``, all rows together, of which only what passes from block to block is kept. Batch norms record
    their statistics once."""
    passed: Any = images
    for piece in pieces(layers):
        passed = _again(layers, piece, *_several(passed))
    return passed


def pieces(layers: nn.Module) -> Sequence[Piece]:
    """What gives the same in a row as ``layers``: residual blocks, or a convolution with all up to the next one."""
    if isinstance(layers, Chain):
        return layers.pieces()
    groups: list[list[nn.Module]] = [[]]
    for layer in _flat(layers):
        if _begins(layer) and any(map(_begins, groups[-1])):
            groups.append([])
        groups[-1].append(layer)
    return [nn.Sequential(*own) for own in groups]


@contextmanager
def still_statistics(layers: nn.Module) -> Generator[None]:
    """A second pass of the same batch, which batch norms must not count again.

    Their running statistics stay among the operands, since a recomputation must keep as many tensors as the first pass.
    """
    norms = [module for module in layers.modules() if isinstance(module, _NORMS) and module.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def _again(layers: nn.Module, piece: Piece, *inputs: Any) -> Any:
    draws = any(module.training and _draws(module) for module in layers.modules())
    contexts = partial(_contexts, piece if isinstance(piece, nn.Module) else layers)
    return checkpoint(piece, *inputs, use_reentrant=False, preserve_rng_state=draws, context_fn=contexts)


def _contexts(module: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), still_statistics(module)


def _draws(module: nn.Module) -> bool:
    """Dropouts and torchvision's stochastic depth call their probability p."""
    return bool(getattr(module, "p", 0.0)) or (isinstance(module, nn.MultiheadAttention) and module.dropout > 0)


def _begins(layer: nn.Module) -> bool:
    return isinstance(layer, _CONVOLUTIONS) or any(True for _ in layer.children())


def _flat(layers: nn.Module) -> Iterator[nn.Module]:
    if not isinstance(layers, nn.Sequential):
        yield layers
        return
    for layer in layers:
        yield from _flat(layer)


def _several(passed: Any) -> tuple[Any, ...]:
    return passed if isinstance(passed, tuple) else (passed,)
