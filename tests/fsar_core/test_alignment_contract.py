"""What sequence alignments and exhaustive matchers keep: batches, shots, precision, many frames, many pairs."""

from functools import partial
from itertools import product

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from fsar_core.episode import Features, Shape
from fsar_core.frozen import Frozen
from fsar_core.matchers import (
    DropDtw,
    ExhaustiveSpatial,
    ExhaustiveTemporal,
    MatcherConfig,
    PairMatcher,
    SoftDtw,
    Vava,
    blocks,
    diagonals,
    exhaustive_spatial,
)
from fsar_core.matchers.drop_dtw import dropping_cost, frame_costs, soft_minimum
from tests.fsar_core.matcher_cases import randn

Variant = tuple[MatcherConfig, tuple[int, ...]]

_FRAME = (6,)
_MAP = (6, 3, 3)
VARIANTS: tuple[Variant, ...] = (
    (SoftDtw.Config(), _FRAME),
    (SoftDtw.Config(relaxed=True, shots="distances"), _FRAME),
    (DropDtw.Config(), _FRAME),
    (DropDtw.Config(exclusive=False, softmin="gamma", shots="nearest"), _FRAME),
    (DropDtw.Config(contiguous=False, exclusive=False, shots="distances"), _FRAME),
    (Vava.Config(), _FRAME),
    (Vava.Config(per_entry=True, shots="nearest"), _FRAME),
    (ExhaustiveTemporal.Config(cardinalities=(1, 3)), _FRAME),
    (ExhaustiveTemporal.Config(shots="distances"), _FRAME),
    (ExhaustiveSpatial.Config(), _MAP),
    (ExhaustiveSpatial.Config(lattice="half_pixel", max_offset=1, shots="nearest"), _MAP),
    (ExhaustiveSpatial.Config(temporal=True, shots="distances"), _MAP),
)
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v[0].canonical_json())


def built(config: MatcherConfig, frames: int = 4) -> PairMatcher:
    matcher = config.build(Shape(level=config.reads, frames=frames, dim=6, cells=3))
    assert isinstance(matcher, SoftDtw | DropDtw | Vava | ExhaustiveTemporal | ExhaustiveSpatial)
    return matcher


def episode(variant: Variant, *batch: int, way: int = 3, shot: int = 2, frames: int = 4) -> Features:
    tail = (frames, *variant[1])
    return Features(support=randn(*batch, way, shot, *tail), query=randn(*batch, 5, *tail, seed=1))


def logits(variant: Variant, features: Features) -> Tensor:
    return built(variant[0])(features).logits


@every_variant
class TestEveryAlignment:
    def test_permuting_the_classes_permutes_the_logits(self, variant: Variant) -> None:
        features, order = episode(variant), torch.tensor([2, 0, 1])
        permuted = Features(support=features.support[order], query=features.query)
        torch.testing.assert_close(logits(variant, permuted), logits(variant, features)[:, order])

    def test_the_order_of_the_shots_and_repeating_them_change_nothing(self, variant: Variant) -> None:
        features = episode(variant, shot=3)
        support = torch.cat((features.support.flip(1), features.support), dim=1)
        repeated = Features(support=support, query=features.query)
        torch.testing.assert_close(logits(variant, repeated), logits(variant, features))

    @pytest.mark.parametrize("batch", [(2,), (2, 3)], ids=str)
    def test_a_batch_of_episodes_gives_what_each_gives_alone(self, variant: Variant, batch: tuple[int, ...]) -> None:
        features = episode(variant, *batch)
        together = logits(variant, features)
        assert together.shape == (*batch, 5, 3)
        for index in product(*map(range, batch)):
            alone = Features(support=features.support[index], query=features.query[index])
            torch.testing.assert_close(together[index], logits(variant, alone))

    @pytest.mark.parametrize("shot", [1, 3])
    def test_pair_scores_and_the_shot_rule_give_the_logits(self, variant: Variant, shot: int) -> None:
        matcher, features = built(variant[0]), episode(variant, shot=shot)
        rule = matcher.shot_rule(shot)
        assert (rule is None) == (shot > 1 and "features" in variant[0].canonical_json())
        if rule is not None:
            scores = matcher.pair_scores(features.query, features.support.flatten(0, 1)).unflatten(-1, (3, shot))
            combined = scores.mean(-1) if rule == "mean" else scores.amax(-1)
            torch.testing.assert_close(combined, matcher(features).logits)

    def test_few_pairs_at_once_give_what_all_give_together(
        self, variant: Variant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        features, matcher = episode(variant), built(variant[0])
        support = features.support.flatten(0, 1)
        together = matcher.pair_scores(features.query, support)
        monkeypatch.setattr(blocks, "FRAME_PAIRS", 1)
        monkeypatch.setattr(diagonals, "_CELLS_AT_ONCE", {"cpu": 40})
        monkeypatch.setattr(exhaustive_spatial, "_FLOATS_AT_ONCE", 2500)
        torch.testing.assert_close(matcher.pair_scores(features.query, support), together)

    def test_gradients_are_finite_where_all_frames_are_equal_or_zero(self, variant: Variant) -> None:
        support = torch.ones(2, 2, 4, *variant[1])
        support[1] = 0
        support = support.requires_grad_()
        logits(variant, Features(support=support, query=support.flatten(0, 1))).square().sum().backward()
        assert support.grad is not None
        assert support.grad.isfinite().all()

    def test_gradients_are_those_of_finite_differences(self, variant: Variant) -> None:
        if isinstance(variant[0], DropDtw.Config):
            pytest.skip("its bar for dropping is constant; its recursion has a test of its own")
        support, query = randn(2, 2, 3, *variant[1]).requires_grad_(), randn(2, 3, *variant[1], seed=1).requires_grad_()

        def of(support: Tensor, query: Tensor) -> Tensor:
            return logits(variant, Features(support=support, query=query))

        assert torch.autograd.gradcheck(of, (support, query), fast_mode=True)

    @pytest.mark.parametrize("frames", [24, 64])
    def test_many_frames_give_finite_and_exact_logits_and_gradients_in_float32(
        self, variant: Variant, frames: int
    ) -> None:
        if frames == 64 and isinstance(variant[0], ExhaustiveTemporal.Config | ExhaustiveSpatial.Config):
            pytest.skip("64 frames have more tuples than are allowed, and shifts of maps do not look at their number")
        exact = episode(variant, way=2, frames=frames)
        support, query = exact.support.float().requires_grad_(), exact.query.float().requires_grad_()
        found = logits(variant, Features(support=support, query=query))
        found.sum().backward()
        assert query.grad is not None
        assert support.grad is not None
        assert query.grad.isfinite().all()
        assert support.grad.isfinite().all()
        torch.testing.assert_close(found.double(), logits(variant, exact), rtol=1e-4, atol=1e-4)

    def test_under_autocast_half_precision_features_are_matched_in_float32(self, variant: Variant) -> None:
        features = episode(variant)
        half = Features(support=features.support.bfloat16(), query=features.query.bfloat16())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = logits(variant, half)
        assert found.dtype == torch.float32
        exact = logits(variant, Features(support=half.support.double(), query=half.query.double()))
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5)

    def test_it_runs_without_data(self, variant: Variant) -> None:
        with torch.device("meta"):
            tail = (4, *variant[1])
            features = Features(support=torch.empty(3, 2, *tail), query=torch.empty(5, *tail))
            assert logits(variant, features).shape == (5, 3)

    def test_its_config_survives_json(self, variant: Variant) -> None:
        adapter: TypeAdapter[Frozen] = TypeAdapter(MatcherConfig)
        assert adapter.validate_json(variant[0].canonical_json()) == variant[0]


class TestDropDtw:
    def test_gradients_of_its_recursion_are_those_of_finite_differences(self) -> None:
        match, drop = randn(2, 3, 5).abs().requires_grad_(), randn(2, 5, seed=1).abs().requires_grad_()
        for contiguous, exclusive in product((True, False), repeat=2):

            def of(match: Tensor, drop: Tensor, contiguous: bool = contiguous, exclusive: bool = exclusive) -> Tensor:
                softmin = partial(soft_minimum, kind="prob", gamma=0.3)
                return dropping_cost(match, drop, softmin, contiguous=contiguous, exclusive=exclusive)

            assert torch.autograd.gradcheck(of, (match, drop))

    def test_no_gradient_reaches_the_bar_for_dropping(self) -> None:
        cosines = torch.tensor([[[0.9, 0.2], [0.1, 0.8]]], requires_grad=True)
        _, drop = frame_costs(cosines, 0.1, 0.5)  # the bar is the 0.8
        (gradient,) = torch.autograd.grad(drop[0, 0], cosines)
        assert gradient[0, 0, 0] != 0
        assert gradient[0, 1, 1] == 0

    def test_as_many_exclusive_frames_on_both_sides_leave_the_diagonal_only(self) -> None:
        match, drop = randn(4, 5, 5).abs(), torch.zeros(4, 5).double()
        softmin = partial(soft_minimum, kind="hard", gamma=1.0)
        diagonal = match.diagonal(dim1=1, dim2=2).sum(1)
        torch.testing.assert_close(dropping_cost(match, drop, softmin, contiguous=True, exclusive=True), diagonal)
        free = dropping_cost(match, drop, softmin, contiguous=True, exclusive=False)
        assert (free < diagonal).all()


class TestVava:
    def test_its_prior_follows_the_training_and_is_saved(self) -> None:
        features = episode((Vava.Config(), _FRAME))
        early, late = (Vava.Config().build(Shape(level="frame", frames=4, dim=6)) for _ in range(2))
        late.at_step(4_000_000, 5_000_000)
        assert not torch.allclose(early(features).logits, late(features).logits)
        early.load_state_dict(late.state_dict())
        torch.testing.assert_close(early(features).logits, late(features).logits)

    def test_the_weight_of_the_first_prior_never_falls_below_a_thousandth(self) -> None:
        made = Vava.Config().build(Shape(level="frame", frames=4, dim=6))
        distances, kernels = randn(2, 4, 4).square(), list[torch.Tensor]()
        for root in (6904, 6905, 10_000):  # 0.999 ** 6905 is the first power below 0.001
            made.at_step(root**2 - 1, 10**9)
            kernels.append(made.kernel(distances)[0])
        assert torch.equal(kernels[1], kernels[2])
        assert (kernels[0] - kernels[1]).abs().max() > 1e-8

    def test_the_transport_moves_a_video_onto_itself_for_less_than_onto_another(self) -> None:
        matcher = Vava.Config().build(Shape(level="frame", frames=8, dim=6))
        videos = randn(4, 8, 6)
        assert matcher.pair_scores(videos, videos).argmax(-1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "soft_dtw", "gamma": 0.0},
        {"kind": "drop_dtw", "keep": 0.0},
        {"kind": "drop_dtw", "softmin": "mean"},
        {"kind": "vava", "iterations": 0},
        {"kind": "exhaustive_temporal", "cardinalities": ()},
        {"kind": "exhaustive_spatial", "max_offset": -1},
        {"kind": "exhaustive_spatial", "lattice": "quarter_pixel"},
    ],
    ids=str,
)
def test_a_wrong_field_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MatcherConfig).validate_python(fault)
