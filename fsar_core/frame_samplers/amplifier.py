"""VIM's spatial amplifier: salient rows and columns of a frame take more room. Section 3.3.3, equations 9 to 11.

As in R00Kie-Liu/Sampler, which builds on Zheng et al. (trilinear attention sampling), CVPR 2019,
https://arxiv.org/abs/1903.06150.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Grid = Literal["published", "centred"]

_ROUNDS, _FIRST_CAP = 5, 4.0


def marginals(maps: Tensor) -> tuple[Tensor, Tensor]:
    """(B, S, S), not negative -> maxima of rows and of columns, (B, S) each with sum 1; flat where all are zero."""
    return _share(maps.amax(-1)), _share(maps.amax(-2))


def _share(values: Tensor) -> Tensor:
    total = values.sum(-1, keepdim=True)
    empty = total < 1e-8
    return torch.where(empty, 1 / values.shape[-1], values / total.masked_fill(empty, 1.0))


def axis_places(row: Tensor, column: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Marginals (B, S) -> for each output row and column the input pixel it shows, (B, S), counted from 0.

    The caps and the steps of the cumulative sums count as constants in the gradient.
    """
    size = row.shape[-1]
    row, column = row * size, column * size
    cap = torch.full_like(row[..., :1], _FIRST_CAP)
    for number in range(_ROUNDS):
        highest = torch.minimum(row.amax(-1, keepdim=True), column.amax(-1, keepdim=True)).detach()
        cap = torch.minimum(cap, highest) if number == 0 else highest
        row, column = _limited(row, cap), _limited(column, cap)
    return _places(row, grid), _places(column, grid)


def _limited(density: Tensor, cap: Tensor) -> Tensor:
    clipped = torch.where(density > cap, cap, density)
    size = density.shape[-1]
    return clipped + (size - clipped.sum(-1, keepdim=True)) / size


def _places(density: Tensor, grid: Grid) -> Tensor:
    """Inverts the cumulative sum of ``density`` (B, S) at S equal steps."""
    size = density.shape[-1]
    if grid == "published":
        density = torch.cat((torch.ones_like(density[..., :1]), density[..., 1:]), dim=-1)
    sums = density.cumsum(-1)
    steps = torch.arange(size, dtype=density.dtype, device=density.device)
    targets = (steps if grid == "published" else steps + 0.5) * sums[..., -1:] / size
    found = torch.searchsorted(sums.detach().contiguous(), targets.detach().contiguous()).clamp_max(size - 1)
    after, before = sums.gather(-1, found), F.pad(sums, (1, 0)).gather(-1, found)
    if grid == "published":
        return found + (targets - after) / (after - before)
    return found - 0.5 + (targets - before) / (after - before)


def sampled_at(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, C, S, S) images at pixel places (B, S'): bilinear, zero beyond the border, (B, C, S', S')."""
    size = images.shape[-1]
    x, y = (2 * places / (size - 1) - 1 for places in (columns, rows))
    shape = (*y.shape, x.shape[-1])
    grid = torch.stack((x[:, None, :].expand(shape), y[:, :, None].expand(shape)), dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def amplified(images: Tensor, maps: Tensor, *, grid: Grid = "published", grid_grad: bool = True) -> Tensor:
    """(B, 3, S, S) images by (B, S, S) maps in 0..1. ``grid_grad`` off: no gradient into the maps."""
    row, column = marginals(maps if grid_grad else maps.detach())
    return sampled_at(images, *axis_places(row, column, grid))
