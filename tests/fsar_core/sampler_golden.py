"""The reference arrays of VIM's sampler, case by case."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5}
"""Relative to the largest entry: the arrays were computed in float64 and stored in float32."""

DTYPES = (torch.float64, torch.float32)


def case(file: str, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """The numbers of one case by their names, floating ones as ``dtype``."""
    arrays = np.load(GOLDEN / f"{file}.npz")
    own = {key.removeprefix(f"{name}."): arrays[key] for key in arrays if key.startswith(f"{name}.")}
    numbers = {key: torch.from_numpy(value) for key, value in own.items() if value.dtype.kind in "fi"}
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in numbers.items()}


def assert_near(found: Tensor | None, expected: Tensor, tolerance: float | None = None) -> None:
    """Of one type, and no entry further away than ``tolerance`` times the largest."""
    assert found is not None
    assert found.dtype == expected.dtype
    tolerance = TOLERANCE[expected.dtype] if tolerance is None else tolerance
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * expected.abs().max().item())


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
