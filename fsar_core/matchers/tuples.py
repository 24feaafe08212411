"""Ordered tuples of frames. Perrett et al. (TRX), CVPR 2021, https://arxiv.org/abs/2101.06184."""

from itertools import combinations
from math import comb

import torch
from torch import Tensor

from fsar_core.seeds import generator

MOST_TUPLES = 20_000
"""Of one cardinality. More would need gigabytes for the keys of one episode."""


def check_tuples(frames: int, cardinalities: tuple[int, ...], fraction: float) -> None:
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


def project_tuples(frames: Tensor, weight: Tensor, bias: Tensor, table: Tensor) -> Tensor:
    """(..., T, D) frames, (d, w * D) weight of a linear layer on tuples, (d) bias, (M, w) table -> (..., M, d).

    Equal to the layer on the frames of each tuple, joined in their order. Every frame is projected once for each place
    in a tuple instead of once for each tuple, and the projections are gathered and added.
    """
    dim = frames.shape[-1]
    total = None
    for place, indices in enumerate(table.unbind(1)):
        block = weight[:, place * dim : (place + 1) * dim]  # a strided view: the product takes it without a copy
        projected = torch.nn.functional.linear(frames, block, bias if place == 0 else None)
        gathered = projected.index_select(-2, indices)
        total = gathered if total is None else total + gathered
    assert total is not None
    return total
