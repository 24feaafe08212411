"""Overlaps of two maps shifted against each other, and the means of features over them (VIM, tables 13 and 19)."""

from typing import Literal

import torch
from torch import Tensor

Lattice = Literal["pixel", "half_pixel"]
"""Where offsets lie. Between cells, the border of an overlap counts a cell by the part of it that is inside."""


def lattice_offsets(cells: int, lattice: Lattice = "pixel", max_offset: int | None = None) -> Tensor:
    """(O,) increasing offsets along one axis, in cells, symmetric around 0; at most ``max_offset``, or cells - 1."""
    reach = cells - 1 if max_offset is None else max_offset
    steps = reach if lattice == "pixel" else 2 * reach
    return torch.arange(-steps, steps + 1) * (reach / steps if steps else 1.0)


def window_weights(cells: int, offsets: Tensor) -> Tensor:
    """(O,) offsets -> (O * O, cells * cells): row (y, x) averages the support's cells p with p + (x, y) inside the map.

    Rows go through y first, cells too, and sum to 1. The query's overlap at the same offset is the support's at the
    opposite one: its rows are those of the result in reverse order. Offsets must lie in [1 - cells, cells - 1].
    """
    places = torch.arange(cells, dtype=torch.float64) + offsets.double().unsqueeze(-1)
    inside = (1 - torch.maximum(-places, places - (cells - 1))).clamp(0, 1)
    axis = inside / inside.sum(-1, keepdim=True)
    return torch.kron(axis, axis)


def window_means(maps: Tensor, weights: Tensor) -> Tensor:
    """(..., D, h, w) maps and (W, h * w) weights -> (..., W, D)."""
    return weights.to(maps) @ maps.flatten(-2).mT
