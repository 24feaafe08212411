"""Where a frame is worth a closer look, from the maps of the scan network. VIM, section 3.3.3, equation 8."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_BYTES_AT_ONCE = 64 << 20


def channel_attention(maps: Tensor, weight: Tensor) -> Tensor:
    """(..., c, h, w) and (c,) -> (..., h, w), of either sign.

    The paper's weighted mean of ``A A^T A / sqrt(h w)`` over channels, from right to left: no c x c matrix.
    """
    cells = maps.flatten(-2)  # A
    channels, count = cells.shape[-2:]
    weighted = cells.mT @ weight[:, None]
    salient = cells.mT @ (cells @ weighted)
    return salient.squeeze(-1).unflatten(-1, maps.shape[-2:]) / (channels * math.sqrt(count))


def stage_mean(stages: Sequence[Tensor]) -> Tensor:
    """(B, channels, h, w) of stages 2, 3 and 4 -> (B, 1, h, w) of stage 2: no weights (published sampler).

    The mean over channels comes first; resizing commutes with it.
    """
    means = [stage.mean(1, keepdim=True) for stage in stages]
    first, *others = means
    size = first.shape[-2:]
    return sum((F.interpolate(own, size, mode="bilinear", align_corners=True) for own in others), first) / len(means)


def upsampling(cells: int, size: int) -> Tensor:
    """(size, cells) float32: U such that ``U m U^T`` is m resized to size x size, bilinear with aligned corners."""
    places = torch.arange(size, dtype=torch.float64) * ((cells - 1) / max(size - 1, 1))
    return (1 - (places[:, None] - torch.arange(cells, dtype=torch.float64)).abs()).clamp_min(0).float()


def enlarged(maps: Tensor, up: Tensor) -> Tensor:
    """(..., h, h) -> (..., S, S)."""
    return up @ maps @ up.mT


def span_normalised(maps: Tensor, up: Tensor) -> Tensor:
    """(B, h, h), shifted and scaled so that each one *enlarged* lies in 0..1; zero where a map is flat.

    Enlarging is linear and its weights sum to one, so that this may come before a choice of maps and before the
    enlargement, of which only the extremes are needed: chunk by chunk, never all maps at full size.
    """
    maps = maps - maps.detach().amin((-2, -1), keepdim=True)  # changes nothing, but keeps flat maps exactly flat
    low, high = _extremes(maps, up)
    return (maps - low) / (high - low + 1e-4)


def _extremes(maps: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Minimum and maximum of each enlarged map, (B, 1, 1); with a gradient to the cells around them."""
    with torch.no_grad():
        rows = max(1, _BYTES_AT_ONCE // (maps.element_size() * up.shape[0] ** 2))
        flat = [enlarged(part, up).flatten(1) for part in maps.detach().split(rows)]
        low, high = (torch.cat([find(part, dim=1) for part in flat]) for find in (torch.argmin, torch.argmax))
    return _at(maps, up, low), _at(maps, up, high)


def _at(maps: Tensor, up: Tensor, pixel: Tensor) -> Tensor:
    """(B, 1, 1): one pixel of each enlarged map."""
    row, column = up[pixel // len(up)], up[pixel % len(up)]
    return row[:, None] @ maps @ column[:, :, None]
