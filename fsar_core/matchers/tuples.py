"""Ordered tuples of frames. Perrett et al. (TRX), CVPR 2021, https://arxiv.org/abs/2101.06184."""

from itertools import combinations
from math import comb
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.seeds import generator

MOST_TUPLES = 20_000
"""Of one cardinality. More would need gigabytes for the keys of one episode."""


def _distinct(cardinalities: tuple[int, ...]) -> tuple[int, ...]:
    if not cardinalities or min(cardinalities) < 1 or len(set(cardinalities)) < len(cardinalities):
        raise ValueError(f"cardinalities must be one or more distinct integers >= 1, got {cardinalities}")
    return cardinalities


Cardinalities = Annotated[tuple[int, ...], AfterValidator(_distinct)]
"""Frames per tuple, one or more distinct numbers."""


def check_tuples(frames: int, cardinalities: tuple[int, ...], fraction: float = 1.0) -> None:
    """Raises ValueError unless clips of ``frames`` frames have tuples of every cardinality, and not too many."""
    for cardinality in cardinalities:
        if cardinality > frames:
            raise ValueError(f"a cardinality must be at most the {frames} frames of a clip, got {cardinality}")
        count = kept(comb(frames, cardinality), fraction)
        if count > MOST_TUPLES:
            raise ValueError(
                f"{frames} frames have {count:,} tuples of cardinality {cardinality}, at most {MOST_TUPLES:,} are "
                "possible; take fewer frames, a smaller cardinality or a smaller fraction of the tuples"
            )


def kept(total: int, fraction: float) -> int:
    """How many of ``total`` tuples a fraction keeps: the nearest number, at least one."""
    return max(1, round(fraction * total))


def tuple_table(frames: int, cardinality: int, fraction: float = 1.0, seed: int = 0) -> Tensor:
    """(M, cardinality) int64: the increasing tuples of frame indices, lexicographically.

    ``fraction`` < 1 keeps a random subset, fixed by ``seed``; neither paper nor code of STRM (figure 6) says which.
    """
    table = torch.tensor(list(combinations(range(frames), cardinality)))
    if fraction == 1.0:
        return table
    chosen = generator(seed, "kept tuples", frames, cardinality).permutation(len(table))
    return table[torch.from_numpy(chosen[: kept(len(table), fraction)]).sort().values]


class OfTuples(nn.Module):
    """A module that reads the tuples of one cardinality, of clips of any length."""

    table: Tensor

    def __init__(self, cardinality: int, frames: int, fraction: float, seed: int) -> None:
        """``frames``: those that most clips have. ``fraction`` and ``seed`` as in ``tuple_table``."""
        super().__init__()
        self.cardinality, self.frames, self.fraction, self.seed = cardinality, frames, fraction, seed
        # Not in the state: a test may keep another share of the tuples.
        self.register_buffer("table", tuple_table(frames, cardinality, fraction, seed), persistent=False)
        self._other_tables: dict[tuple[int, torch.device], Tensor] = {}

    def tuples_of(self, clips: Tensor) -> Tensor:
        """(M, cardinality), for clips (..., T, D); made once for each T. Raises ValueError as ``check_tuples``."""
        length = clips.shape[-2]
        if length == self.frames:
            return self.table
        known = (length, clips.device)
        if known not in self._other_tables:
            check_tuples(length, (self.cardinality,), self.fraction)
            table = tuple_table(length, self.cardinality, self.fraction, self.seed)
            self._other_tables[known] = table.to(clips.device)
        return self._other_tables[known]


def joined(query: Tensor, support: Tensor) -> Tensor:
    """(E, Q, T, D) and (E, N, K, T, D) -> (E, Q + N * K, T, D) videos, so that one product projects all of them.

    In memory all videos of a frame lie together: ``project_tuples`` takes ranges of frames without copies.
    """
    return torch.cat((query.movedim(-2, 0), support.flatten(1, 2).movedim(-2, 0)), dim=2).movedim(0, -2)


def project_tuples(frames: Tensor, weight: Tensor, bias: Tensor, table: Tensor) -> Tensor:
    """(..., T, D) frames, (d, w * D) weight of a linear layer on tuples, (d) bias, (M, w) table -> (..., M, d).

    Equal to the layer on the frames of each tuple, joined in their order. Every frame is projected once for each place
    in a tuple where it can stand, instead of once for each tuple, and the projections are gathered and added.
    """
    (length, dim), cardinality = frames.shape[-2:], table.shape[1]
    by_frame = frames.movedim(-2, 0)
    total = None
    for place, indices in enumerate(table.unbind(1)):
        block = weight[:, place * dim : (place + 1) * dim]  # a strided view: the product takes it without a copy
        standing = by_frame[place : length - cardinality + 1 + place]  # frames before leave no room for earlier places
        projected = F.linear(standing.flatten(0, -2), block, bias if place == 0 else None)
        projected = projected.view(*standing.shape[:-1], -1).movedim(0, -2)
        gathered = projected.index_select(-2, indices - place)
        total = gathered if total is None else total.add_(gathered)
    assert total is not None
    return total
