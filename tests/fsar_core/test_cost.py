"""Counted costs against sizes that are known, and against counts by hand."""

import pytest

from fsar_core.config import RunConfig
from fsar_core.cost import Cost, measure
from fsar_core.frame_samplers import Evenly
from fsar_core.matchers import Otam, ProtoNet
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods import all_methods, sgtm
from fsar_core.presets import clean, laptop
from fsar_core.stages import SpatialPool
from tests.fsar_core import tiny

RECIPE = clean("ssv2_full")
RESNET50_MACS = 4_087_136_256
"""Multiply-adds of the convolutions of torchvision's ResNet-50 at 224 pixels."""


def plain(matcher: Otam.Config | ProtoNet.Config) -> RunConfig:
    steps = (Step(name="pooled", stage=SpatialPool.Config()),)
    method = MethodConfig(backbone=RECIPE.backbone, steps=steps, heads=(Head(matcher=matcher, reads="pooled"),))
    return RECIPE.few_shot(method)


def sgtm_cost(variant: str) -> Cost:
    return measure(sgtm.run(RECIPE, sgtm.METHOD.variants[variant](RECIPE.backbone)))


def test_a_pooled_resnet50_costs_what_is_known_of_it() -> None:
    cost = measure(plain(Otam.Config()))
    assert cost.parameters == cost.trainable == cost.test_parameters == 23_508_032
    assert cost.flops_per_frame == 2 * RESNET50_MACS
    pairs = 5 * 8 * 5 * 8  # every frame of a query with every frame of a support
    assert cost.flops_per_episode == 10 * 8 * 2 * RESNET50_MACS + 2 * 2048 * pairs


def test_more_queries_and_shots_pass_the_backbone_too() -> None:
    cost = measure(plain(ProtoNet.Config()), way=3, shot=2, queries=4)
    assert cost.flops_per_episode // (2 * RESNET50_MACS) == 3 * (2 + 4) * 8


def test_sgtm_has_the_published_size_and_a_test_needs_less() -> None:
    cost, encoder = sgtm_cost("sgtm"), sgtm_cost("encoder_only")
    assert cost.parameters == 37_208_192
    assert cost.test_parameters == encoder.parameters == encoder.test_parameters
    assert cost.flops_per_frame == encoder.flops_per_frame
    guide = 2 * (3 * 512 * 512 + 512) + (2048 - 512) * 512 * 3 + 64 * 513
    assert cost.parameters - cost.trainable == guide


def test_tokens_and_heads_are_counted_by_hand() -> None:
    """Two transformers of two layers of 32 tokens of 512 channels: four projections and two of the feed-forward, and
    the two products of attention."""
    layer = 2 * 32 * 512 * 512 * 6 + 2 * 2 * 32 * 32 * 512
    assert sgtm_cost("sgtm").flops_per_frame == 2 * RESNET50_MACS + 4 * layer / 8
    assert sgtm_cost("baseline").flops_per_frame == 2 * RESNET50_MACS + 2 * layer / 8


def test_frames_that_are_not_kept_cost_no_backbone() -> None:
    base = plain(Otam.Config())
    chosen = base.method.model_copy(update={"frame_sampler": Evenly.Config(keep=4)})
    cost = measure(base.model_copy(update={"method": chosen}))
    assert (cost.decoded, cost.frames) == (8, 4)
    assert cost.flops_per_frame == 2 * RESNET50_MACS
    assert cost.flops_per_episode == 10 * 4 * 2 * RESNET50_MACS + 2 * 2048 * (5 * 4) ** 2


def test_a_frozen_backbone_is_not_trained() -> None:
    backbone = tiny.BACKBONE.model_copy(update={"frozen": True})
    cost = measure(tiny.recipe().few_shot(sgtm.baseline(backbone)))
    weights = sum(own.numel() for own in backbone.build().parameters())
    assert cost.parameters - cost.trainable == weights


def test_a_run_without_heads_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a method with heads"):
        measure(laptop("motionshapes").needs[0].run)


@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name, method in all_methods().items() for variant in method.variants]
)
def test_every_variant_of_every_method_can_be_counted(name: str, variant: str) -> None:
    method = all_methods()[name]
    cost = measure(method.run(RECIPE, method.variants[variant](RECIPE.backbone)))
    assert cost.trainable <= cost.parameters
    assert cost.test_parameters <= cost.parameters
    assert 8e9 < cost.flops_per_frame < 60e9
    assert cost.flops_per_episode >= 10 * cost.frames * 2 * RESNET50_MACS
