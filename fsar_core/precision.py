"""Distances, scores and grids are computed in float32 or wider: they are small differences of large numbers."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16", "fp16"]
"""``fp32``: no autocast. Else the type in which autocast computes products."""


def wide(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside, so that products of wide values stay wide. The meta device knows no autocast."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def mixed(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Autocast as ``precision`` says."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")
