"""3 x 3 x 3 convolutions (time, rows, columns; zero padding 1) of maps whose channels stand last, as matrix products.

D channels in, O channels out. For D much greater than O this is faster than unfolding the D channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fsar_core.precision import full_precision, wide


def convolve(maps: Tensor, kernel: Tensor) -> Tensor:
    """(..., T, h, w, D) and (O, D, 3, 3, 3) -> (..., T, h, w, O), without bias, float32 or wider."""
    per_time: list[Tensor] = []
    for taps in kernel.permute(2, 1, 3, 4, 0).flatten(2):  # three times (D, 3 * 3 * O)
        products = wide(maps @ taps).unflatten(-1, (3, 3, -1))
        rows = _sum_shifted(products.unbind(-3), axis=-4)
        per_time.append(_sum_shifted(rows.unbind(-2), axis=-2))
    return _sum_shifted(per_time, axis=-4)


def _sum_shifted(taps: Sequence[Tensor], axis: int) -> Tensor:
    """Sum of three, where the first reads one place before and the last one place after, along ``axis``."""
    before, here, after = taps
    length = here.shape[axis]
    total = here.clone()
    total.narrow(axis, 1, length - 1).add_(before.narrow(axis, 0, length - 1))
    total.narrow(axis, 0, length - 1).add_(after.narrow(axis, 1, length - 1))
    return total


def constant_response(values: Tensor, kernel: Tensor) -> Tensor:
    """(..., D) values of frames that are constant over pixels, and (O, D, 3, 3, 3) -> (..., 3 times, 3, 3, O).

    Time j is what a frame adds to the one that lies 1 - j after it. Under zero padding it adds nine different values:
    in the first, inner or last row, times the first, inner or last column.
    """
    products = wide(values @ kernel.permute(1, 2, 3, 4, 0).flatten(1)).unflatten(-1, (3, 3, 3, -1))
    meets = _met_taps(products)
    with full_precision(values.device):
        return torch.einsum("...tijo,ki,lj->...tklo", products, meets, meets)


def _met_taps(like: Tensor) -> Tensor:
    """(3 places: first, inner, last; 3 taps): 1 where the tap of a kernel lies inside. The first place does not meet
    the first tap, the last not the last."""
    return like.new_tensor([[0, 1, 1], [1, 1, 1], [1, 1, 0]])


def mixed_response(evolution: Tensor, response: Tensor) -> Tensor:
    """Nine values of the convolution of evolution-weighted sums of constant maps.

    (E, Q, N, T, T') evolution, of which row t mixes the T' frames of a ``constant_response`` (E, Q, T', 3, 3, 3, O)
    -> (E, Q, N, T, 3, 3, O). The response of every query is computed once, and mixed for each of the N.
    """
    windows = F.pad(evolution, (0, 0, 1, 1)).unfold(-2, 3, 1)  # (E, Q, N, T, T', 3)
    mixed = windows.flatten(-2).flatten(2, 3) @ response.flatten(4).flatten(2, 3)
    return mixed.unflatten(2, evolution.shape[2:4]).unflatten(-1, response.shape[4:])


def still_response(response: Tensor, frames: int) -> Tensor:
    """(..., 3, 3, 3, O) ``constant_response`` of a frame, for ``frames`` >= 2 frames that are all equal to it:
    (..., T, 3, 3, O)."""
    summed = torch.einsum("...tklo,mt->...mklo", response, _met_taps(response))
    return summed.index_select(-4, _places(frames, response))


def spread(nine: Tensor, cells: int) -> Tensor:
    """(..., 3, 3, O) values of first, inner and last rows and columns -> (..., cells, cells, O); ``cells`` >= 2."""
    places = _places(cells, nine)
    return nine.index_select(-3, places).index_select(-2, places)


def _places(length: int, like: Tensor) -> Tensor:
    places = torch.ones(length, dtype=torch.int64, device=like.device)
    places[0], places[-1] = 0, 2
    return places
