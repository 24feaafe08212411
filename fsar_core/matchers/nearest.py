"""Each query tuple against the nearest tuple of each class, for STRM's query-class similarity."""

import sys
from typing import Literal

import torch
from torch import Tensor

Similarity = Literal["neg_l2", "cosine"]
"""``neg_l2``: minus the Euclidean distance, not squared. ``cosine``: of vectors of length 1."""

_NUMBERS_AT_ONCE = {"cpu": 2**19}
"""Of winners that lie beside their rows: so many stay in the cache of a CPU."""


def to_nearest(rows: Tensor, classes: Tensor, similarity: Similarity) -> Tensor:
    """(E, R, d) query tuples and (E, N, L, d) tuples of N classes -> (E, R, N), the greatest similarity to any of L.

    For ``cosine`` all vectors must have length 1. The gradient of a distance of 0 is 0.
    """
    # Nothing of the losers gets a gradient: a search without one, then the similarities of the winners alone. Their
    # distances do not cancel as those of the search do, which are expanded into products.
    nearest = _nearest(rows.detach(), classes.detach(), similarity)
    episodes, count, dim = len(rows), classes.shape[1], rows.shape[-1]
    at_once = max(1, _NUMBERS_AT_ONCE.get(rows.device.type, sys.maxsize) // max(1, episodes * count * dim))
    parts = zip(rows.split(at_once, dim=1), nearest.split(at_once, dim=1), strict=True)
    return torch.cat([_to_winners(own, classes, winners, similarity) for own, winners in parts], dim=1)


def _to_winners(rows: Tensor, classes: Tensor, winners: Tensor, similarity: Similarity) -> Tensor:
    chosen = classes.flatten(0, 2).index_select(0, winners.flatten())
    chosen = chosen.view(*rows.shape[:2], classes.shape[1], -1)
    if similarity == "cosine":
        return (rows.unsqueeze(2) * chosen).sum(-1)
    return -torch.linalg.vector_norm(chosen.sub_(rows.unsqueeze(2)), dim=-1)


@torch.no_grad()
def _nearest(rows: Tensor, classes: Tensor, similarity: Similarity) -> Tensor:
    """(E, R, N) positions among the E * N * L tuples."""
    columns = classes.flatten(1, 2)
    if similarity == "cosine":
        costs = -(rows @ columns.mT)
    else:
        # What all tuples share would leave few digits to their differences once the squares are expanded.
        centre = columns.mean(1, keepdim=True)
        rows, columns = rows - centre, columns - centre
        costs = torch.baddbmm(columns.square().sum(-1).unsqueeze(1), rows, columns.mT, alpha=-2)
    episodes, count, length = classes.shape[:3]
    nearest = costs.unflatten(-1, (count, length)).min(-1).indices
    starts = torch.arange(0, episodes * count * length, length, device=rows.device)
    return nearest + starts.view(episodes, 1, count)
