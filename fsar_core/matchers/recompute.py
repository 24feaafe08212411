"""Blocks that keep no intermediate results for their gradients."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def block(function: Callable[..., Tensor], *inputs: Tensor, one_of_several: bool) -> Tensor:
    """``function(*inputs)``; one of several blocks is computed again for its gradients. It must draw nothing."""
    if one_of_several and torch.is_grad_enabled():
        return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    return function(*inputs)
