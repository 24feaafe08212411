"""STRM's query-class similarity as loops, and the inputs of its tests."""

import math
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from fsar_core.episode import Features, Shape
from fsar_core.matchers import QueryClass
from fsar_core.matchers.tuples import tuple_table
from tests.fsar_core.matcher_cases import randn


def matcher(channels: int = 6, frames: int = 4, **fields: Any) -> QueryClass:
    """In float64 and eval mode."""
    torch.manual_seed(5)
    config = QueryClass.Config.model_validate({"cardinalities": (2, 3), **fields})
    made = config.build(Shape(level="frame", frames=frames, dim=channels)).double().eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made


def features(
    *batch: int, way: int = 3, shot: int = 2, queries: int = 4, frames: int = 4, query_frames: int | None = None
) -> Features:
    return Features(
        support=randn(*batch, way, shot, frames, 6), query=randn(*batch, queries, query_frames or frames, 6, seed=1)
    )


def slow_tuples(made: QueryClass, branch: int, video: Tensor) -> list[Tensor]:
    """The projected tuples of a video (T, D), those that are kept."""
    cardinality = made.config.cardinalities[branch]
    chosen = list(combinations(range(len(video)), cardinality))
    if made.config.tuple_fraction < 1:
        table = tuple_table(len(video), cardinality, made.config.tuple_fraction, made.config.tuple_seed)
        chosen = [own for own in chosen if list(own) in table.tolist()]
        assert len(chosen) == max(1, round(made.config.tuple_fraction * math.comb(len(video), cardinality)))
    weight, bias = (made.get_parameter(f"branches.{branch}.projection.{kind}") for kind in ("weight", "bias"))
    return [(weight @ torch.cat([video[t] for t in own]) + bias).clamp_min(0) for own in chosen]


def slow_similarity(made: QueryClass, x: Tensor, y: Tensor) -> float:
    if made.config.similarity == "neg_l2":
        return -math.sqrt(sum((a - b) ** 2 for a, b in zip(x.tolist(), y.tolist(), strict=True)))
    lengths = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return float(x @ y) / lengths if lengths else 0.0


@torch.no_grad()
def slow_logit(made: QueryClass, query: Tensor, shots: Tensor) -> float:
    found: list[float] = []
    for branch in range(len(made.branches)):
        known = [own for video in shots for own in slow_tuples(made, branch, video)]
        own = [max(slow_similarity(made, t, u) for u in known) for t in slow_tuples(made, branch, query)]
        found.append(sum(own) / len(own))
    return sum(found) / (len(found) if made.config.branch_reduction == "mean" else 1)
