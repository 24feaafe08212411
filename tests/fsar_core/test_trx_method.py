"""TRX as a method: its configuration, its sizes, its variants."""

import pytest
import torch
from pydantic import ValidationError

from fsar_core.backbones import ResNet, SmallNet
from fsar_core.episode import Features, Shape
from fsar_core.matchers import Trx
from fsar_core.methods import trx
from fsar_core.methods.trx import METHOD
from tests.fsar_core import tiny
from tests.fsar_core.lively import built, episode
from tests.fsar_core.trx_cases import features, matcher


class TestConfig:
    @pytest.mark.parametrize("cardinalities", [(), (0,), (2, 2)])
    def test_cardinalities_must_be_distinct_and_positive(self, cardinalities: tuple[int, ...]) -> None:
        with pytest.raises(ValidationError, match="distinct integers >= 1"):
            Trx.Config(cardinalities=cardinalities)

    def test_a_cardinality_beyond_the_frames_is_refused_before_and_while_running(self) -> None:
        with pytest.raises(ValueError, match="at most the 2 frames of a clip, got 3"):
            Trx.Config().check(Shape(level="frame", frames=2, dim=6))
        with pytest.raises(ValueError, match="at most the 2 frames of a clip, got 3"):
            matcher()(features(frames=2))

    @pytest.mark.parametrize(
        ("cardinalities", "published"),
        [
            ((1,), 4_725_504),
            ((2,), 9_444_096),
            ((3,), 14_162_688),
            ((4,), 18_881_280),
            ((2, 3), 23_606_784),
            ((2, 4), 28_325_376),
            ((3, 4), 33_043_968),
            ((2, 3, 4), 42_488_064),
        ],
    )
    def test_parameters_are_the_published_ones_but_for_the_idle_normalisation_of_values(
        self, cardinalities: tuple[int, ...], published: int
    ) -> None:
        with torch.device("meta"):
            made = Trx.Config(cardinalities=cardinalities).build(Shape(level="frame", frames=8, dim=2048))
        assert sum(own.numel() for own in made.parameters()) == published - 2304 * len(cardinalities)


class TestMethod:
    def test_behind_a_resnet_50_it_has_the_published_size(self) -> None:
        with torch.device("meta"):
            made = trx.trx(ResNet.Config(weights="none")).build(frames=8, crop=224, classes=64)
        assert sum(own.numel() for own in made.parameters()) == 47_114_816 - 2 * 2304

    def test_it_runs_on_the_meta_device(self) -> None:
        with torch.device("meta"):
            made = trx.trx(tiny.BACKBONE).build(frames=4, crop=16, classes=6).eval()
            given = Features(support=torch.empty(3, 2, 4, 32), query=torch.empty(5, 4, 32))
            assert made.heads[0](given).logits.shape == (5, 3)

    def test_the_loss_is_summed_over_the_queries(self) -> None:
        made, whole = built(trx.trx(tiny.BACKBONE)), episode()
        with torch.no_grad():
            output = made(whole)
        assert output.logits is not None
        entropies = [-float(row.log_softmax(0)[y]) for row, y in zip(output.logits, whole.query_labels, strict=True)]
        assert output.total.item() == pytest.approx(sum(entropies), rel=1e-5)

    def test_arguments_reach_the_matcher_and_a_setting_that_would_be_lost_is_refused(self) -> None:
        arguments = {"out_dim": 7, "tuple_fraction": 0.5, "tuple_seed": 3, "cardinalities": (2,)}
        found = trx.trx(
            tiny.BACKBONE,
            out_dim=7,
            tuple_fraction=0.5,
            tuple_seed=3,
            cardinalities=(2,),
            matcher=Trx.Config(distance="l2", out_dim=7),
        )
        assert found.heads[0].matcher == Trx.Config.model_validate({**arguments, "distance": "l2"})
        for lost in ({"out_dim": 5}, {"tuple_fraction": 0.5}, {"tuple_seed": 1}, {"cardinalities": (3,)}):
            with pytest.raises(ValueError, match=f"{next(iter(lost))} must be arguments of the method"):
                trx.trx(tiny.BACKBONE, matcher=Trx.Config.model_validate(lost))

    def test_widths_follow_the_backbone(self) -> None:
        assert [trx.tuple_width(ResNet.Config(depth=d)) for d in (18, 50)] == [1152, 1152]
        assert trx.tuple_width(SmallNet.Config(channels=16)) == 72

    @pytest.mark.parametrize("variant", METHOD.variants)
    def test_every_variant_trains_two_steps_and_differs_from_the_others(self, variant: str) -> None:
        config = METHOD.variants[variant](tiny.BACKBONE)
        assert [name for name, own in METHOD.variants.items() if own(tiny.BACKBONE) == config] == [variant]
        run = METHOD.run(tiny.recipe(steps=2), config)
        assert run.method == config
        made = built(config).train()
        made(episode(shot=2)).total.backward()
        assert [name for name, own in made.named_parameters() if own.grad is None] == []
