"""Soft-DTW, Drop-DTW and VAVA against the numbers of published code, and against their equations as slow loops."""

import math
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_core.episode import Features
from fsar_core.matchers import DropDtw, MatcherConfig, SoftDtw, Vava
from fsar_core.matchers.drop_dtw import SoftMin, dropping_cost, soft_minimum
from fsar_core.matchers.soft_dtw import warping_cost
from fsar_core.matchers.vava import transport_cost
from tests.fsar_core.matcher_cases import SHAPE, logits, randn

GOLDEN = Path(__file__).parents[1] / "golden"
RELATIVE = {torch.float64: 1e-6, torch.float32: 1e-5}
every_dtype = pytest.mark.parametrize("dtype", RELATIVE, ids=str)


def golden(name: str, case: str, dtype: torch.dtype) -> dict[str, Tensor]:
    arrays = {key: value for key, value in np.load(GOLDEN / f"vim_{name}.npz").items() if key.startswith(f"{case}.")}
    numbers = {key: torch.from_numpy(value) for key, value in arrays.items() if value.dtype.kind != "U"}
    return {key.removeprefix(f"{case}."): v.to(dtype) if v.is_floating_point() else v for key, v in numbers.items()}


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Relative to the largest entry."""
    tolerance = RELATIVE[found.dtype] * float(expected.abs().max())
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=0, atol=tolerance)


class TestGolden:
    @every_dtype
    @pytest.mark.parametrize("case", ["c0", "c1"])
    def test_soft_dtw_and_its_gradient(self, case: str, dtype: torch.dtype) -> None:
        given = golden("softdtw", case, dtype)
        cost = given["cost"].requires_grad_()
        value = warping_cost(cost, round(float(given["gamma"]), 6))
        (value * given["coef"]).sum().backward()
        assert_near(value.detach(), given["value"])
        assert cost.grad is not None
        assert_near(cost.grad, given["grad_cost"])

    @every_dtype
    @pytest.mark.parametrize("case", ["c0", "c1"])
    def test_relaxed_soft_dtw_of_sequences(self, case: str, dtype: torch.dtype) -> None:
        given = golden("softdtw", case, dtype)
        x, y = given["seq_x"].requires_grad_(), given["seq_y"].requires_grad_()
        matcher = SoftDtw.Config(gamma=round(float(given["gamma"]), 6), relaxed=True).build(SHAPE)
        value = -matcher.pair_scores(x.unsqueeze(1), y.unsqueeze(1)).flatten()
        (value * given["coef"]).sum().backward()
        assert_near(value.detach(), given["padded_bidirectional"])
        for found, name in ((x.grad, "grad_seq_x"), (y.grad, "grad_seq_y")):
            assert found is not None
            assert_near(found, given[name])

    @every_dtype
    @pytest.mark.parametrize(("case", "kind"), [("c0", "prob"), ("c1", "gamma"), ("c2", "prob")])
    def test_drop_dtw_and_its_gradients(self, case: str, kind: SoftMin, dtype: torch.dtype) -> None:
        given = golden("dropdtw", case, dtype)
        assert str(np.load(GOLDEN / "vim_dropdtw.npz")[f"{case}.softmin"]) == kind
        match, drop = given["match_cost"].requires_grad_(), given["drop_cost"].requires_grad_()
        gamma, contiguous = round(float(given["gamma"]), 6), bool(given["contiguous"])

        def published(costs: Tensor) -> Tensor:
            """1e-5 is added relative to the largest term of the batch, so that one pair sees another."""
            least = costs.movedim(1, 0).flatten(1).min(1).values.unsqueeze(-1)  # one of the equal ones has the gradient
            return least - gamma * (((least - costs) / gamma).exp().sum(0) + 1e-5).log()

        softmin = published if kind == "gamma" else partial(soft_minimum, kind=kind, gamma=gamma)
        value = dropping_cost(match, drop, softmin, contiguous=contiguous, exclusive=True) / match.shape[2]
        (value * given["coef"]).sum().backward()
        assert_near(value.detach(), given["soft_value_per_frame"])
        assert match.grad is not None
        assert drop.grad is not None
        assert_near(match.grad, given["grad_match_cost"])
        torch.testing.assert_close(drop.grad, given["grad_drop_cost"], rtol=RELATIVE[dtype], atol=1e-7)
        hard = partial(soft_minimum, kind="hard", gamma=1.0)
        exact = dropping_cost(match.detach(), drop.detach(), hard, contiguous=contiguous, exclusive=True)
        assert_near(exact, given["hard_value"])

    @every_dtype
    @pytest.mark.parametrize("case", ["c0", "c1"])
    def test_vava(self, case: str, dtype: torch.dtype) -> None:
        given = golden("vava", case, dtype)
        config = Vava.Config(
            prior_weight=float(given["lambda1"]),
            entropy_weight=round(float(given["lambda2"]), 6),
            iterations=int(given["iterations"]),
        )
        matcher = config.build(SHAPE)
        matcher.at_step(int(given["global_step"]), 5000)
        squared = (given["seq_x"].unsqueeze(2) - given["seq_y"].unsqueeze(1)).square().sum(-1)
        kernel, costs = matcher.kernel(squared)
        assert_near(kernel.exp() * costs, given["kernel_times_cost"])
        entries = kernel.shape[1] * kernel.shape[2]
        assert_near(transport_cost(kernel, costs, config.iterations) / entries, given["value"])


def slow_cosines(x: Tensor, y: Tensor) -> list[list[float]]:
    return [[float(a @ b / (a.norm() * b.norm())) for b in y] for a in x]


def slow_softmin(costs: list[float], kind: SoftMin, gamma: float) -> float:
    if kind == "hard":
        return min(costs)
    terms = [math.exp(-(cost - min(costs)) / gamma) for cost in costs]
    if kind == "gamma":
        return min(costs) - gamma * math.log(sum(terms))
    return sum(t * cost for t, cost in zip(terms, costs, strict=True) if t) / sum(terms)


def slow_warping(costs: list[list[float]], gamma: float) -> float:
    rows, columns = len(costs), len(costs[0])
    table = (
        {(0, 0): 0.0}
        | {(i, 0): math.inf for i in range(1, rows + 1)}
        | {(0, j): math.inf for j in range(1, columns + 1)}
    )
    for i, j in product(range(1, rows + 1), range(1, columns + 1)):
        before = [table[i - 1, j - 1], table[i - 1, j], table[i, j - 1]]
        table[i, j] = costs[i - 1][j - 1] + slow_softmin(before, "gamma", gamma)
    return table[rows, columns]


def slow_soft_dtw(config: SoftDtw.Config, query: Tensor, support: Tensor) -> float:
    costs = [[1 - c for c in row] for row in slow_cosines(query, support)]
    if not config.relaxed:
        return slow_warping(costs, config.gamma)
    both = (costs, [list(column) for column in zip(*costs, strict=True)])
    return sum(slow_warping([[0.0] * len(d[0]), *d, [0.0] * len(d[0])], config.gamma) for d in both) / 2


def slow_dropping(
    match: list[list[float]], drop: list[float], kind: SoftMin, gamma: float, *, contiguous: bool, exclusive: bool
) -> float:
    """Cell by cell over rows that must all be matched and columns that may be dropped."""
    rows, columns = len(match), len(match[0])
    done = {(i, 0): 1e9 for i in range(1, rows + 1)} | {(0, j): sum(drop[:j]) for j in range(columns + 1)}
    matched = {(i, 0): 1e9 for i in range(rows + 1)} | {(0, j): 1e9 for j in range(columns + 1)}
    for i, j in product(range(1, rows + 1), range(1, columns + 1)):
        before = [done[i - 1, j - 1], matched[i, j - 1] if contiguous else done[i, j - 1]]
        if not exclusive:
            before.append(matched[i - 1, j])
        matched[i, j] = match[i - 1][j - 1] + slow_softmin(before, kind, gamma)
        done[i, j] = slow_softmin([done[i, j - 1] + drop[j - 1], matched[i, j]], kind, gamma)
    return done[rows, columns]


def slow_drop_dtw(config: DropDtw.Config, query: Tensor, support: Tensor) -> float:
    cosines = slow_cosines(support, query)
    every = sorted((c for row in cosines for c in row), reverse=True)
    bar = every[max(1, int(config.keep * len(every))) - 1]
    match, drop = [[0.0] * len(query) for _ in cosines], [0.0] * len(query)
    for j in range(len(query)):
        terms = [math.exp(c / config.temperature) for c in [*(row[j] for row in cosines), bar]]
        *costs, drop[j] = [-math.log(term / sum(terms) + 1e-5) for term in terms]
        for i, cost in enumerate(costs):
            match[i][j] = cost
    times = math.ceil(len(match) / len(drop))
    match = [[cost for cost in row for _ in range(times)] for row in match]
    drop = [cost for cost in drop for _ in range(times)]
    switches = {"contiguous": config.contiguous, "exclusive": config.exclusive}
    return slow_dropping(match, drop, config.softmin, config.gamma, **switches) / len(drop)


def slow_vava(config: Vava.Config, step: int, query: Tensor, support: Tensor) -> float:
    """Entry by entry, and Sinkhorn's rounds on the kernel itself."""
    squared = [[2 - 2 * c for c in row] for row in slow_cosines(query, support)]
    n, m = len(query), len(support)
    rows, columns = n + 1, m + 1
    width = math.sqrt(1 / rows**2 + 1 / columns**2)
    phi = min(max(0.999 ** int(math.sqrt(step + 1)), 0.001), 0.999)
    lam1, lam2 = config.prior_weight * (n + m), config.entropy_weight * n * m / 4
    kernel, costs = np.zeros((rows, columns)), np.full((rows, columns), config.virtual_cost)
    for i, j in product(range(1, rows + 1), range(1, columns + 1)):
        place = 1 if i == 1 else squared[i - 2].index(min(squared[i - 2])) + 1
        gaps = [abs(i / rows - j / columns), abs(j - place) / columns]
        if (i == 1) != (j == 1):
            gaps = [15 / (rows + columns)] * 2
        shares = [phi, 1 - phi]
        gauss = [math.exp(-((e / width) ** 2) / 8) / (2 * math.sqrt(2 * math.pi)) for e in gaps]
        prior = sum(share * g for share, g in zip(shares, gauss, strict=True))
        near = sum(share * lam1 / (e**2 + 1) for share, e in zip(shares, gaps, strict=True))
        if i > 1 and j > 1:
            costs[i - 1, j - 1] = squared[i - 2][j - 2]
        kernel[i - 1, j - 1] = min(max(prior * math.exp((near - costs[i - 1, j - 1]) / lam2), 1e-15), 1e20)
    u = np.full(rows, 1 / rows)
    v = np.ones(columns)
    for _ in range(config.iterations + 1):
        v = 1 / columns / (kernel.T @ u)
        u = 1 / rows / (kernel @ v)
    cost = float((u[:, None] * kernel * costs * v).sum())
    return cost / (rows * columns) if config.per_entry else cost


class TestEquations:
    SIZES = ((2, 1, 3, 4, 4), (3, 3, 2, 5, 3), (3, 1, 1, 3, 6), (2, 3, 2, 7, 2), (2, 2, 2, 1, 3), (2, 1, 2, 1, 1))

    def expect(self, config: MatcherConfig, query: Tensor, support: Tensor) -> float:
        if isinstance(config, SoftDtw.Config):
            return slow_soft_dtw(config, query, support)
        if isinstance(config, DropDtw.Config):
            return slow_drop_dtw(config, query, support)
        assert isinstance(config, Vava.Config)
        return slow_vava(config, 0, query, support)

    @pytest.mark.parametrize("shots", ["features", "distances", "nearest"])
    @pytest.mark.parametrize(
        "config",
        [
            SoftDtw.Config(),
            SoftDtw.Config(gamma=0.7, relaxed=True),
            *(
                DropDtw.Config(contiguous=c, exclusive=e, softmin=s, gamma=0.3)
                for c, e, s in product((True, False), (True, False), ("prob", "gamma", "hard"))
            ),
            DropDtw.Config(keep=0.7, temperature=0.4),
            Vava.Config(),
            Vava.Config(prior_weight=0.4, entropy_weight=0.5, virtual_cost=1.2, iterations=3, per_entry=True),
        ],
        ids=lambda c: c.canonical_json(),
    )
    @pytest.mark.parametrize(("way", "shot", "queries", "query_frames", "frames"), SIZES)
    def test_logits_are_those_of_the_equations_as_loops(
        self,
        config: MatcherConfig,
        shots: Literal["features", "distances", "nearest"],
        way: int,
        shot: int,
        queries: int,
        query_frames: int,
        frames: int,
    ) -> None:
        config = config.model_copy(update={"shots": shots})
        support, query = randn(way, shot, frames, 5), randn(queries, query_frames, 5, seed=1)
        expected = torch.zeros(queries, way, dtype=torch.float64)
        for q, c in product(range(queries), range(way)):
            videos = support[c].mean(0, keepdim=True) if shots == "features" else support[c]
            distances = [self.expect(config, query[q], video) for video in videos]
            expected[q, c] = -min(distances) if shots == "nearest" else -sum(distances) / len(distances)
        torch.testing.assert_close(logits(config, Features(support=support, query=query)), expected)

    def test_the_hard_minimum_is_the_cheapest_of_all_ways_to_match_every_row(self) -> None:
        match, drop = randn(1, 3, 6).abs(), randn(1, 6, seed=1).abs()

        def allowed(rows: tuple[int, ...]) -> bool:
            """Row of each column, -1 for a dropped one: rows in order, all of them, each in one run."""
            runs = [r for k, r in enumerate(rows) if r >= 0 and (k == 0 or rows[k - 1] != r)]
            return runs == [0, 1, 2]

        ways = [rows for rows in product(range(-1, 3), repeat=6) if allowed(rows)]
        cheapest = min(sum(float(drop[0, j] if r < 0 else match[0, r, j]) for j, r in enumerate(rows)) for rows in ways)
        hard = partial(soft_minimum, kind="hard", gamma=1.0)
        found = dropping_cost(match, drop, hard, contiguous=True, exclusive=True)
        torch.testing.assert_close(found, torch.tensor([cheapest], dtype=torch.float64))

    def test_a_small_temperature_of_soft_dtw_gives_the_cheapest_warping(self) -> None:
        costs = randn(4, 3, 5).abs()
        expected = [slow_warping(cost.tolist(), 1e-4) for cost in costs]
        torch.testing.assert_close(warping_cost(costs, 1e-3), torch.tensor(expected).double(), rtol=0, atol=1e-2)
