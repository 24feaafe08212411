"""What recursions over pairs of frames share: they run along anti-diagonals, for all pairs of videos at once."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

FAR = 1e10
"""A cost that no path takes: finite, so that gradients of cells outside the grid are zeros and not NaN."""

_CELLS_AT_ONCE = {"cpu": 2**18}


def of_each_pair(value: Callable[[Tensor], Tensor], costs: Tensor) -> Tensor:
    """(..., I, J) -> (...), where ``value`` takes (P, I, J) to (P,). It sees few pairs at once.

    Blocks bound the memory, and on a CPU they keep a recursion in its cache.
    """
    rows, columns = costs.shape[-2:]
    block = max(1, _CELLS_AT_ONCE.get(costs.device.type, 2**26) // (rows * columns))
    parts = costs.reshape(-1, rows, columns).split(block)
    return torch.cat([value(part) for part in parts]).view(costs.shape[:-2])


def diagonals(costs: Tensor) -> tuple[Tensor, ...]:
    """(P, I, J) -> I + J - 1 anti-diagonals (I, P): entry i of number s is cell (i, s - i), ``FAR`` outside the grid.

    A cell's left neighbour is entry i of number s - 1, the upper one entry i - 1 of it, the diagonal one entry i - 1 of
    number s - 2.
    """
    pairs, rows, columns = costs.shape
    padded = F.pad(costs, (0, rows), value=FAR).flatten(1)
    # Rows that are one shorter than the padded ones begin one cell later each time.
    skewed = padded[:, : rows * (rows + columns - 1)].view(pairs, rows, rows + columns - 1)
    return skewed.permute(2, 1, 0).contiguous().unbind()  # pairs last: the steps run over contiguous memory


def shifted(diagonal: Tensor, first: Tensor) -> Tensor:
    """(I, P): entry i is entry i - 1 of ``diagonal``; entry 0 is ``first``, (P,)."""
    return torch.cat((first.unsqueeze(0), diagonal[:-1]))
