"""Where two maps overlap under an offset: weights over the cells, along one axis at a time.

VIM, section 3.4.4. Coordinates along an axis run from -1, centre of the first cell, to 1, centre of the last. All
weights over a map are products of a weight per row and one per column, also after averaging over perturbations, because
these form a full grid.
"""

from typing import Literal

import torch
from torch import Tensor

Overlap = Literal["mask", "affine"]
"""``mask``: the cells of the overlap, fading over one cell at its border. ``affine``: the overlap is resampled to the
size of the map, bilinearly, and averaged, so that it weighs its border less."""


def overlap_weights(offset: Tensor, cells: int, kind: Overlap, perturbation: float) -> Tensor:
    """(..., 2) offsets (x, y) in (-2, 2) -> (..., cells * cells), rows of the map after each other; they sum to 1.

    Of the map that is moved by the offset: the other one gets the weights of the opposite offset. The mean over nine
    offsets, those up to one ``perturbation`` away along each axis; 0: of one.
    """
    shifts = offset.new_tensor([-perturbation, 0.0, perturbation] if perturbation else [0.0])
    moved = offset.unsqueeze(-1) + shifts  # (..., 2, 3)
    of_axis = _mask(moved, cells) if kind == "mask" else _resampled(moved, cells)
    x, y = of_axis.mean(-2).unbind(-2)
    return (y.unsqueeze(-1) * x.unsqueeze(-2)).flatten(-2)


def _mask(offset: Tensor, cells: int) -> Tensor:
    """(...) -> (..., cells)."""
    places = _places(offset, cells) + offset.unsqueeze(-1)
    inside = (1 - (places.abs() - 1) * ((cells - 1) / 2)).relu().clamp_max(1)
    return inside / inside.sum(-1, keepdim=True)


def _resampled(offset: Tensor, cells: int) -> Tensor:
    """(...) -> (..., cells): the mean of ``cells`` points, evenly over the part that the other map covers."""
    own = _places(offset, cells)
    offset = offset.unsqueeze(-1)
    points = (own * (1 - offset.abs() / 2) - offset / 2 + 1) * ((cells - 1) / 2)  # in cells
    distance = (points.unsqueeze(-1) - torch.arange(cells, dtype=own.dtype, device=own.device)).abs()
    return (1 - distance).relu().mean(-2)


def _places(like: Tensor, cells: int) -> Tensor:
    return torch.linspace(-1, 1, cells, dtype=like.dtype, device=like.device)
