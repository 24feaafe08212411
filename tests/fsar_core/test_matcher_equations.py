"""Matchers against the numbers of published code, and against their equations as slow loops."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_core.episode import Features
from fsar_core.matchers import BiMhm, Otam, ProtoNet, TimeAveraged
from fsar_core.matchers.otam import alignment_cost
from tests.fsar_core.matcher_cases import VARIANTS, FrameMatcherConfig, logits, randn

GOLDEN = Path(__file__).parents[1] / "golden"


class TestGolden:
    CASES = (
        ("otam", "lam0.1.logits", Otam.Config(lam=0.1)),
        ("otam", "lam0.5.logits", Otam.Config(lam=0.5)),
        ("otam", "lam0.1.proto_logits", Otam.Config(lam=0.1, shots="features")),
        ("otam", "lam0.5.proto_logits", Otam.Config(lam=0.5, shots="features")),
        ("otam", "lam0.1.single_direction_logits", Otam.Config(lam=0.1, directions="query_to_support")),
        ("otam", "lam0.5.single_direction_logits", Otam.Config(lam=0.5, directions="query_to_support")),
        ("bimhm", "distmean.logits", BiMhm.Config(shots="distances")),
        ("bimhm", "protomean.logits", BiMhm.Config()),
        ("bimhm", "protomean.eps01_logits", BiMhm.Config(cosine_eps=0.01)),
        (
            "bimhm",
            "protomean.eps01_single_direction_logits",
            BiMhm.Config(cosine_eps=0.01, directions="query_to_support"),
        ),
        ("protonet", "logits", ProtoNet.Config()),
        ("protonet", "tsn_cosine_logits", TimeAveraged.Config()),
        ("protonet", "tsn_euclid_logits", TimeAveraged.Config(distance="squared_euclidean")),
    )

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
    @pytest.mark.parametrize("case", ["shot1", "shot3"])
    @pytest.mark.parametrize(("file", "array", "config"), CASES, ids=[f"{f}-{a}" for f, a, _ in CASES])
    def test_logits_and_gradients_are_those_of_the_published_code(
        self, file: str, array: str, config: FrameMatcherConfig, case: str, dtype: torch.dtype
    ) -> None:
        golden = {name: torch.from_numpy(value) for name, value in np.load(GOLDEN / f"{file}.npz").items()}
        by_class = golden[f"{case}.support_labels"].argsort(stable=True)
        support = golden[f"{case}.support"][by_class].unflatten(0, (5, -1)).to(dtype).requires_grad_()
        query = golden[f"{case}.query"].to(dtype).requires_grad_()
        tol = 1e-10 if dtype == torch.float64 else 1e-5

        found = logits(config, Features(support=support, query=query))

        torch.testing.assert_close(found, golden[f"{case}.{array}"].to(dtype), rtol=tol, atol=tol)
        prefix = f"{case}.{array.removesuffix('logits')}"
        if f"{prefix}grad.query" in golden:
            (found * golden[f"{prefix}cotangent"].to(dtype)).sum().backward()
            expected = golden[f"{prefix}grad.support"][by_class].unflatten(0, (5, -1)).to(dtype)
            torch.testing.assert_close(support.grad, expected, rtol=tol, atol=tol)
            torch.testing.assert_close(query.grad, golden[f"{prefix}grad.query"].to(dtype), rtol=tol, atol=tol)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
    @pytest.mark.parametrize(("case", "lam"), [("rect", 0.1), ("rect", 0.5), ("rect", 1), ("long", 0.1), ("long", 0.5)])
    def test_alignment_costs_of_unequal_and_long_videos_are_those_of_the_published_code(
        self, case: str, lam: float, dtype: torch.dtype
    ) -> None:
        golden = np.load(GOLDEN / "otam.npz")
        found = alignment_cost(torch.from_numpy(golden[f"{case}.dists"]).to(dtype), lam)
        rtol = 1e-10 if dtype == torch.float64 else 1e-5
        torch.testing.assert_close(
            found, torch.from_numpy(golden[f"{case}.lam{lam}.cum"]).to(dtype), rtol=rtol, atol=rtol
        )


def slow_cosine(x: Tensor, y: Tensor, eps: float) -> float:
    lengths = math.sqrt(sum(v**2 for v in x.tolist())) * math.sqrt(sum(v**2 for v in y.tolist()))
    return sum(a * b for a, b in zip(x.tolist(), y.tolist(), strict=True)) / (lengths + eps)


def slow_alignment(d: list[list[float]], lam: float) -> float:
    """The recursion cell by cell, with the zero columns that the published code pads with."""

    def smin(*costs: float) -> float:
        return -lam * math.log(sum(math.exp(-cost / lam) for cost in costs))

    padded = [[0.0, *row, 0.0] for row in d]
    last = len(padded[0]) - 1
    cost = [[0.0] * (last + 1) for _ in padded]
    for m in range(1, last + 1):
        cost[0][m] = cost[0][m - 1] + padded[0][m]
    for row, m in product(range(1, len(padded)), range(1, last + 1)):
        before = [cost[row - 1][m - 1], cost[row][m - 1]]
        if m in (1, last):
            before.append(cost[row - 1][m])
        cost[row][m] = padded[row][m] + smin(*before)
    return cost[-1][last]


def slow_distance(config: FrameMatcherConfig, query: Tensor, support: Tensor) -> float:
    """Of one pair of videos, from the equations."""
    if config.kind == "time_averaged":
        q, s = query.mean(0), support.mean(0)
        if config.distance == "squared_euclidean":
            return sum(((q - s) ** 2).tolist())
        return -slow_cosine(q, s, config.cosine_eps)
    d = [[1 - slow_cosine(x, y, config.cosine_eps) for y in support] for x in query]
    transposed = [list(column) for column in zip(*d, strict=True)]
    if config.kind == "protonet":
        return sum(d[t][t] for t in range(len(d)))
    directions = [d, transposed] if config.directions == "both" else [d]
    if config.kind == "otam":
        return sum(slow_alignment(one, config.lam) for one in directions)
    totals = [(sum(min(row) for row in one), len(one)) for one in directions]
    return sum(total if config.reduction == "sum" else total / rows for total, rows in totals)


def slow_logit(config: FrameMatcherConfig, query: Tensor, shots: Tensor) -> float:
    if config.kind == "otam" or config.kind == "bimhm":
        how = config.shots
    else:
        how = "features" if config.kind == "protonet" or config.distance == "squared_euclidean" else "distances"
    if how == "features":
        return -slow_distance(config, query, shots.mean(0))
    distances = [slow_distance(config, query, video) for video in shots]
    return -min(distances) if how == "nearest" else -sum(distances) / len(distances)


class TestEquations:
    SIZES = (
        (2, 1, 3, 4, 4),
        (3, 3, 2, 5, 5),
        (3, 1, 1, 3, 6),
        (2, 3, 2, 7, 2),
        (2, 2, 2, 1, 3),
        (2, 2, 2, 3, 1),
        (2, 1, 2, 1, 1),
        (3, 2, 2, 2, 2),
    )

    @pytest.mark.parametrize("config", VARIANTS, ids=lambda c: c.canonical_json())
    @pytest.mark.parametrize(("way", "shot", "queries", "query_frames", "frames"), SIZES)
    def test_logits_are_those_of_the_equations_as_loops(
        self, config: FrameMatcherConfig, way: int, shot: int, queries: int, query_frames: int, frames: int
    ) -> None:
        if config.kind == "protonet" and query_frames != frames:
            pytest.skip("compares frame by frame")
        features = Features(support=randn(way, shot, frames, 5), query=randn(queries, query_frames, 5, seed=1))
        expected = [[slow_logit(config, query, shots) for shots in features.support] for query in features.query]
        torch.testing.assert_close(logits(config, features), torch.tensor(expected, dtype=torch.float64))

    def test_protonet_refuses_unequal_numbers_of_frames(self) -> None:
        with pytest.raises(ValueError, match="need equally many frames, but got 4 and 5"):
            logits(ProtoNet.Config(), Features(support=randn(2, 1, 5, 3), query=randn(2, 4, 3)))
