"""What matchers without weights keep in every variant, and the limits of the alignment."""

from itertools import product
from typing import cast

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from fsar_core.episode import Features
from fsar_core.frozen import Frozen
from fsar_core.matchers import MatcherConfig, Otam, PairMatcher
from fsar_core.matchers.otam import alignment_cost
from tests.fsar_core.matcher_cases import SHAPE, VARIANTS, logits, randn

every_variant = pytest.mark.parametrize("config", VARIANTS, ids=lambda c: c.canonical_json())


def random_features(
    *batch: int, way: int = 3, shot: int = 2, queries: int = 5, frames: int = 4, dim: int = 7
) -> Features:
    return Features(support=randn(*batch, way, shot, frames, dim), query=randn(*batch, queries, frames, dim, seed=1))


@every_variant
class TestEveryMatcher:
    def test_permuting_the_classes_permutes_the_logits(self, config: MatcherConfig) -> None:
        features, order = random_features(), torch.tensor([2, 0, 1])
        permuted = Features(support=features.support[order], query=features.query)
        torch.testing.assert_close(logits(config, permuted), logits(config, features)[:, order])

    def test_the_order_of_the_shots_and_repeating_them_change_nothing(self, config: MatcherConfig) -> None:
        features = random_features(shot=3)
        repeated = Features(support=features.support.flip(1).repeat(1, 2, 1, 1), query=features.query)
        torch.testing.assert_close(logits(config, repeated), logits(config, features))

    @pytest.mark.parametrize("batch", [(2,), (2, 3)], ids=str)
    def test_a_batch_of_episodes_gives_what_each_gives_alone(
        self, config: MatcherConfig, batch: tuple[int, ...]
    ) -> None:
        features = random_features(*batch)
        together = logits(config, features)
        assert together.shape == (*batch, 5, 3)
        for index in product(*map(range, batch)):
            alone = Features(support=features.support[index], query=features.query[index])
            torch.testing.assert_close(together[index], logits(config, alone))

    def test_a_query_does_not_see_the_others(self, config: MatcherConfig) -> None:
        features = random_features()
        alone = Features(support=features.support, query=features.query[1:2])
        torch.testing.assert_close(logits(config, alone), logits(config, features)[1:2])

    @pytest.mark.parametrize("shot", [1, 3])
    def test_pair_scores_and_the_shot_rule_give_the_logits(self, config: MatcherConfig, shot: int) -> None:
        matcher = cast(PairMatcher, config.build(SHAPE))
        features = random_features(shot=shot)
        rule = matcher.shot_rule(shot)
        if rule is None:
            assert shot > 1
            return
        scores = matcher.pair_scores(features.query, features.support.flatten(0, 1)).unflatten(-1, (3, shot))
        combined = scores.mean(-1) if rule == "mean" else scores.amax(-1)
        torch.testing.assert_close(combined, matcher(features).logits)

    def test_gradients_are_finite_where_all_frames_are_equal_or_zero(self, config: MatcherConfig) -> None:
        equal = torch.ones(2, 2, 4, 6)
        equal[1] = 0
        support, query = equal.clone().requires_grad_(), equal.flatten(0, 1).requires_grad_()
        logits(config, Features(support=support, query=query)).square().sum().backward()
        assert support.grad is not None
        assert support.grad.isfinite().all()

    def test_gradients_are_those_of_finite_differences(self, config: MatcherConfig) -> None:
        support, query = randn(2, 2, 3, 4).requires_grad_(), randn(2, 3, 4, seed=1).requires_grad_()

        def of(support: Tensor, query: Tensor) -> Tensor:
            return logits(config, Features(support=support, query=query))

        assert torch.autograd.gradcheck(of, (support, query))

    def test_64_frames_give_finite_logits_and_gradients_in_float32(self, config: MatcherConfig) -> None:
        support, query = randn(2, 2, 64, 16).float().requires_grad_(), randn(3, 64, 16).float().requires_grad_()
        found = logits(config, Features(support=support, query=query))
        found.sum().backward()
        assert found.isfinite().all()
        assert query.grad is not None
        assert query.grad.isfinite().all()

    def test_under_autocast_half_precision_features_are_matched_in_float32(self, config: MatcherConfig) -> None:
        features = random_features()
        half = Features(support=features.support.bfloat16(), query=features.query.bfloat16())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = logits(config, half)
        assert found.dtype == torch.float32
        exact = logits(config, Features(support=half.support.double(), query=half.query.double()))
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)

    def test_a_config_survives_json(self, config: MatcherConfig) -> None:
        adapter: TypeAdapter[Frozen] = TypeAdapter(MatcherConfig)
        assert adapter.validate_json(config.canonical_json()) == config


class TestAlignment:
    def test_exchanging_the_videos_leaves_the_sum_of_both_directions_unchanged(self) -> None:
        matcher, query, support = Otam.Config().build(SHAPE), randn(3, 4, 6), randn(2, 5, 6)
        torch.testing.assert_close(matcher.pair_scores(query, support), matcher.pair_scores(support, query).mT)

    def test_a_small_temperature_gives_the_cheapest_path(self) -> None:
        distances = randn(5, 4, 3).abs()
        # The rows of the three columns: from one to the next the row stays or advances by one.
        paths = [(a, b, c) for a, b, c in product(range(4), repeat=3) if a <= b <= a + 1 and b <= c <= b + 1]
        cheapest = torch.stack([distances[:, (a, b, c), (0, 1, 2)].sum(-1) for a, b, c in paths]).amin(0)
        torch.testing.assert_close(alignment_cost(distances, 1e-4), cheapest, rtol=0, atol=1e-2)

    def test_many_pairs_give_what_each_gives_alone(self) -> None:
        distances = randn(5000, 8, 8)
        found = alignment_cost(distances, 0.1)
        torch.testing.assert_close(found[[0, 4095, 4096, 4999]], alignment_cost(distances[[0, 4095, 4096, 4999]], 0.1))

    def test_one_matrix_gives_one_number_and_no_pair_gives_none(self) -> None:
        assert alignment_cost(randn(3, 4), 0.1).shape == ()
        assert alignment_cost(randn(0, 3, 4), 0.1).shape == (0,)

    def test_float32_costs_of_64_frames_are_the_exact_ones(self) -> None:
        distances = randn(6, 64, 64).abs() + 0.5
        torch.testing.assert_close(
            alignment_cost(distances.float(), 0.1).double(), alignment_cost(distances, 0.1), rtol=1e-5, atol=0
        )


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "otam", "lam": 0},
        {"kind": "otam", "lamda": 0.1},
        {"kind": "bimhm", "cosine_eps": -1.0},
        {"kind": "otan"},
    ],
)
def test_a_wrong_field_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MatcherConfig).validate_python(fault)
