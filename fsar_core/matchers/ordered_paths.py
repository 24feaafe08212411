"""Both directions of OTAM's cost on a CPU, by sums of exponentials in double precision: no logarithm for every cell.

In w = exp(-C / lam) the recursion of ``otam.alignment_cost`` only adds and multiplies, and both directions share the
exponentials of the distances. Double precision holds them as long as no path is too long.
"""

import torch
from torch import Tensor

_LARGEST_EXPONENT = 320
"""Doubles end at exp(-708). The gradients divide by the sum over all paths, and by products along the first column."""

_PAIRS_AT_ONCE = 2**16
"""Times the cells of a pair: blocks that stay in the cache."""


def holds(distances: Tensor, lam: float) -> bool:
    """Whether ``both_costs`` is exact for (..., Tq, Ts) distances of at most 2: on a CPU, 8 frames at lam = 0.1, say.

    On a GPU double precision is slow.
    """
    rows, columns = distances.shape[-2:]
    return distances.device.type == "cpu" and (rows + columns - 1) * 2 <= _LARGEST_EXPONENT * lam


def both_costs(distances: Tensor, lam: float) -> Tensor:
    """(..., Tq, Ts) distances of at most 2 -> (...) sums of ``alignment_cost`` of them and of their transpose.

    ``holds`` must be true.
    """
    rows, columns = distances.shape[-2:]
    cells = distances.movedim((-2, -1), (0, 1)).reshape(rows, columns, -1)  # pairs last: steps over contiguous memory
    parts = cells.split(max(1, _PAIRS_AT_ONCE // (rows * columns)), dim=2)
    logs = torch.cat([_both_logs(part.to(torch.float64, copy=True).div_(-lam).exp_()) for part in parts])
    return logs.mul(-lam).to(distances.dtype).view(distances.shape[:-2])


def _both_logs(cells: Tensor) -> Tensor:
    """(Tq, Ts, P) factors exp(-d / lam) -> (P) sums of the logarithms of the sums over all paths of both directions."""
    rows, columns, pairs = cells.shape
    if rows != columns:
        return _path_sums(cells.transpose(0, 1)).log() + _path_sums(cells).log()
    both = torch.stack((cells.transpose(0, 1), cells), dim=2)
    return _path_sums(both.flatten(2)).log().view(2, pairs).sum(0)


def _path_sums(columns: Tensor) -> Tensor:
    """(M, L, P) factors of M columns with L rows -> (P) sums over all paths.

    From column to column a path stays in its row or advances by one. Within the first column it may advance too, where
    it enters in two ways but in the first row; it leaves in two ways but in the last.
    """
    first, *others = columns.unbind()
    repeated = first.cumprod(0)
    weights = repeated * ((first / repeated).cumsum(0).mul_(2) - 1)
    # A product with a matrix of steps is faster still, but would be counted among the operations of the method.
    for column in others:
        stayed = column * weights
        stayed[1:].addcmul_(column[1:], weights[:-1])
        weights = stayed
    return weights.sum(0) + weights[:-1].sum(0)
