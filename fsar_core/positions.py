"""Fixed position codes: that of TRX, which STRM takes over, and that of HyRSM, which MoLo and I2ST take over."""

import math

import torch
from torch import Tensor


def trx_positions(length: int, dim: int, scale: float = 0.1) -> Tensor:
    """(length, dim) float64: ``scale`` times sin(p / 10^4^(2i/dim)) in channel 2i, times the cosine in channel 2i + 1.

    https://github.com/tobyperrett/trx, ``PositionalEncoding``, for an even ``dim``; of an odd one the last cosine
    is left out. Float64, so that a user casts it to the features' own precision.
    """
    position = torch.arange(length, dtype=torch.float64)[:, None]
    frequency = torch.exp(torch.arange(0, dim, 2, dtype=torch.float64) * (-math.log(1e4) / dim))
    table = torch.empty(length, dim, dtype=torch.float64)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)[:, : dim // 2]
    return table * scale


def hyrsm_positions(length: int, dim: int) -> Tensor:
    """(length, dim) float64: sin(p / 10^4^(2c/dim)) in even channels c, the cosine of the same in odd ones.

    The released table takes the channel itself where the usual one takes the number of its pair, so that the
    wavelengths grow twice as fast.
    """
    position = torch.arange(length, dtype=torch.float64)[:, None]
    angle = position * torch.exp(torch.arange(dim, dtype=torch.float64) * (-2 * math.log(1e4) / dim))
    return torch.where(torch.arange(dim) % 2 == 0, angle.sin(), angle.cos())
