"""Matching is done in float32 or wider: a distance is a small difference of large numbers."""

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
