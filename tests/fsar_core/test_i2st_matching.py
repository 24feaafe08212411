"""Global-local matching and the contrast of tokens against equation 6 and the loops that it stands for."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from fsar_core.episode import Features, Shape
from fsar_core.matchers import BiMhm, GlobalLocal, Otam, PairMatcher, TokenContrast, blocks
from tests.fsar_core.matcher_cases import logits, randn

SHAPE = Shape(level="global_local", frames=8, dim=64)

GLOBAL_LOCAL = (
    GlobalLocal.Config(),
    GlobalLocal.Config(mode="local"),
    GlobalLocal.Config(mode="global"),
    GlobalLocal.Config(metric="otam"),
    GlobalLocal.Config(metric="otam", mode="local", otam_lam=0.5),
    GlobalLocal.Config(tau=2.5, gamma=0.125),
    GlobalLocal.Config(cosine_eps=0.01),
)
CONTRASTS = (
    TokenContrast.Config(),
    TokenContrast.Config(direction="query_to_support"),
    TokenContrast.Config(cosine_eps=0.01),
)
SIZES = ((2, 1, 3, 4, 4), (3, 3, 2, 5, 5), (5, 1, 1, 3, 6), (2, 2, 2, 1, 3), (2, 5, 2, 7, 2), (1, 1, 1, 1, 1))
"""way, shot, queries, frames of a query, frames of a support."""


def made(way: int, shot: int, queries: int, query_frames: int, frames: int, dim: int = 5) -> Features:
    return Features(support=randn(way, shot, 1 + frames, dim), query=randn(queries, 1 + query_frames, dim, seed=1))


def slow_cosine(x: Tensor, y: Tensor, eps: float) -> float:
    lengths = math.sqrt(sum(v**2 for v in x.tolist())) * math.sqrt(sum(v**2 for v in y.tolist()))
    return sum(a * b for a, b in zip(x.tolist(), y.tolist(), strict=True)) / (lengths + eps)


def slow_otam(d: list[list[float]], lam: float) -> float:
    """The recursion cell by cell, between columns of zeros."""

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


def slow_global_local(config: GlobalLocal.Config, query: Tensor, shots: Tensor) -> float:
    prototype = sum(shots[1:], shots[0]) / len(shots)
    frames = len(prototype) - 1
    d = [[1 - slow_cosine(q, p, config.cosine_eps) for p in prototype[1:]] for q in query[1:]]
    columns = [list(column) for column in zip(*d, strict=True)]
    if config.metric == "bimhm":
        local = sum(map(min, d)) / len(d) + sum(map(min, columns)) / len(columns)
    else:
        local = (slow_otam(d, config.otam_lam) + slow_otam(columns, config.otam_lam)) / frames
    similarity = config.gamma * slow_cosine(query[0], prototype[0], config.cosine_eps)
    tau = frames if config.tau == "T" else config.tau
    return tau * ((config.mode != "local") * similarity - (config.mode != "global") * local)


def slow_contrast(config: TokenContrast.Config, scale: float, query: Tensor, shots: Tensor) -> float:
    prototype = shots.mean(0)
    long, short = (query, prototype) if config.direction == "support_to_query" else (prototype, query)
    return -scale * sum(1 - slow_cosine(frame, long[0], config.cosine_eps) for frame in short[1:])


@pytest.mark.parametrize("size", SIZES, ids=str)
class TestEquations:
    @pytest.mark.parametrize("config", GLOBAL_LOCAL, ids=lambda c: c.canonical_json())
    def test_global_local_logits_are_those_of_the_loops(
        self, config: GlobalLocal.Config, size: tuple[int, int, int, int, int]
    ) -> None:
        features = made(*size)
        expected = [[slow_global_local(config, q, shots) for shots in features.support] for q in features.query]
        torch.testing.assert_close(
            logits(config, features), torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-10
        )

    @pytest.mark.parametrize("config", CONTRASTS, ids=lambda c: c.canonical_json())
    def test_contrast_logits_are_those_of_the_loops(
        self, config: TokenContrast.Config, size: tuple[int, int, int, int, int]
    ) -> None:
        features, matcher = made(*size), config.build(SHAPE).double()
        with torch.no_grad():
            matcher.scale.fill_(1.75)
        expected = [[slow_contrast(config, 1.75, q, shots) for shots in features.support] for q in features.query]
        torch.testing.assert_close(
            matcher(features).logits, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("config", [*GLOBAL_LOCAL, *CONTRASTS], ids=lambda c: c.canonical_json())
class TestBoth:
    def test_a_batch_of_episodes_gives_what_each_gives_alone(
        self, config: GlobalLocal.Config | TokenContrast.Config
    ) -> None:
        support, query = randn(2, 3, 4, 2, 5, 6), randn(2, 3, 7, 4, 6, seed=1)
        together = logits(config, Features(support=support, query=query))
        assert together.shape == (2, 3, 7, 4)
        for i, j in product(range(2), range(3)):
            alone = logits(config, Features(support=support[i, j], query=query[i, j]))
            torch.testing.assert_close(together[i, j], alone)

    def test_scores_of_pairs_are_the_logits_of_one_shot_and_of_no_more(
        self, config: GlobalLocal.Config | TokenContrast.Config
    ) -> None:
        matcher: PairMatcher = config.build(SHAPE)
        features = made(3, 1, 4, 5, 5)
        assert matcher.shot_rule(1) == "mean"
        assert matcher.shot_rule(3) is None
        scores = matcher.pair_scores(features.query, features.support.flatten(0, 1))
        torch.testing.assert_close(scores, matcher(features).logits)

    def test_blocks_of_queries_change_nothing(
        self, config: GlobalLocal.Config | TokenContrast.Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        matcher: PairMatcher = config.build(SHAPE)
        query, support = randn(2, 9, 5, 6), randn(2, 4, 3, 6, seed=1)
        whole = matcher.pair_scores(query, support)
        monkeypatch.setattr(blocks, "FRAME_PAIRS", 400)
        seen: list[int] = []

        def watched(part: Tensor, other: Tensor) -> Tensor:
            seen.append(part.shape[-3])
            return matcher.pair_scores(part, other)

        parts = blocks.in_blocks(watched, query, support)
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
        assert seen == [3, 3, 3]  # 400 frame pairs, of which a query needs 2 * 5 * 4 * 3

    def test_under_autocast_half_precision_features_are_matched_in_float32(
        self, config: GlobalLocal.Config | TokenContrast.Config
    ) -> None:
        features = made(3, 2, 4, 5, 5)
        half = Features(support=features.support.bfloat16(), query=features.query.bfloat16())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = logits(config, half)
        assert found.dtype == torch.float32
        exact = logits(config, Features(support=half.support.double(), query=half.query.double()))
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)

    def test_gradients_are_those_of_finite_differences(self, config: GlobalLocal.Config | TokenContrast.Config) -> None:
        support, query = randn(2, 2, 4, 4).requires_grad_(), randn(2, 4, 4, seed=1).requires_grad_()

        def of(support: Tensor, query: Tensor) -> Tensor:
            return logits(config, Features(support=support, query=query))

        assert torch.autograd.gradcheck(of, (support, query))

    def test_gradients_are_finite_where_all_vectors_are_equal_or_zero(
        self, config: GlobalLocal.Config | TokenContrast.Config
    ) -> None:
        equal = torch.ones(2, 2, 4, 6)
        equal[1] = 0
        support, query = equal.clone().requires_grad_(), equal.flatten(0, 1).requires_grad_()
        logits(config, Features(support=support, query=query)).square().sum().backward()
        assert support.grad is not None
        assert support.grad.isfinite().all()


class TestGlobalLocal:
    def test_a_clip_with_itself_gets_tau_gamma_and_nothing_gets_more(self) -> None:
        clips = randn(20, 5, 6)
        for config, most in ((GlobalLocal.Config(), 4.0), (GlobalLocal.Config(tau=3.0, gamma=0.5), 1.5)):
            scores = config.build(SHAPE).pair_scores(clips, clips)
            torch.testing.assert_close(scores.diagonal(), torch.full((20,), most, dtype=torch.float64))
            assert (scores <= most + 1e-12).all()

    def test_the_local_part_is_symmetric_and_blind_to_the_order_of_frames(self) -> None:
        matcher = GlobalLocal.Config().build(SHAPE)
        left, right = randn(4, 6, 7), randn(3, 6, 7, seed=1)
        scores = matcher.pair_scores(left, right)
        torch.testing.assert_close(matcher.pair_scores(right, left).mT, scores)
        shuffled = left[:, [0, 3, 1, 5, 2, 4]]
        torch.testing.assert_close(matcher.pair_scores(shuffled, right), scores)
        torch.testing.assert_close(matcher.pair_scores(right, shuffled).mT, scores)

    def test_the_alignment_sees_the_order_of_frames(self) -> None:
        matcher = GlobalLocal.Config(metric="otam").build(SHAPE)
        left, right = randn(4, 6, 7), randn(3, 6, 7, seed=1)
        difference = matcher.pair_scores(left[:, [0, 3, 1, 5, 2, 4]], right) - matcher.pair_scores(left, right)
        assert difference.abs().min() > 1e-3

    @pytest.mark.parametrize("metric", ["bimhm", "otam"])
    def test_the_local_part_alone_is_the_matcher_of_frames(self, metric: str) -> None:
        features = made(3, 2, 4, 5, 5)
        frames = Features(support=features.support[..., 1:, :], query=features.query[..., 1:, :])
        plain = BiMhm.Config() if metric == "bimhm" else Otam.Config(shots="features", cosine_eps=0.0)
        config = GlobalLocal.Config.model_validate({"mode": "local", "metric": metric})
        torch.testing.assert_close(logits(config, features), logits(plain, frames))

    def test_a_literal_sum_over_frames_is_gamma_over_t(self) -> None:
        features = made(3, 1, 4, 5, 5)
        parts = [
            logits(GlobalLocal.Config(mode="local"), features),
            logits(GlobalLocal.Config(mode="global", tau=1.0), features),
        ]
        torch.testing.assert_close(logits(GlobalLocal.Config(gamma=0.2), features), parts[0] + parts[1])

    def test_distances_of_equal_frames_do_not_become_negative(self) -> None:
        clips = torch.randn(200, 3, 64, generator=torch.Generator().manual_seed(0))
        scores = GlobalLocal.Config(mode="local").build(SHAPE).pair_scores(clips, clips)
        assert scores.max() <= 0


class TestTokenContrast:
    def test_the_scale_is_learnt_and_starts_at_one(self) -> None:
        matcher = TokenContrast.Config().build(SHAPE)
        assert [(name, p.item()) for name, p in matcher.named_parameters()] == [("scale", 1.0)]
        features = made(3, 1, 4, 5, 5)
        found = matcher(features).logits
        found.sum().backward()
        assert matcher.scale.grad is not None
        torch.testing.assert_close(matcher.scale.grad.double(), found.detach().sum())

    def test_the_two_directions_exchange_query_and_support(self) -> None:
        left, right = randn(4, 6, 7), randn(3, 5, 7, seed=1)
        there = TokenContrast.Config(direction="support_to_query").build(SHAPE).pair_scores(left, right)
        back = TokenContrast.Config(direction="query_to_support").build(SHAPE).pair_scores(right, left)
        torch.testing.assert_close(there, back.mT)


@pytest.mark.parametrize(
    "fault", [{"mode": "both"}, {"tau": "t"}, {"tau": 0.0}, {"gamma": -1.0}, {"otam_lam": 0.0}, {"metric": "dtw"}]
)
def test_a_wrong_field_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fault))):
        GlobalLocal.Config.model_validate(fault)
