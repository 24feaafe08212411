"""Distances, scores and grids are computed in float32 or wider: they are small differences of large numbers."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside, so that products of wide values stay wide. The meta device knows no autocast."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
