"""HyRSM and the plain baselines as methods: sizes, variants, losses."""

import pytest
import torch
from pydantic import ValidationError

from fsar_core.backbones import ResNet
from fsar_core.config import RunConfig
from fsar_core.episode import Features, Shape
from fsar_core.losses import BaseClasses
from fsar_core.matchers import SetRelation
from fsar_core.method import MethodConfig, Step
from fsar_core.methods import frame_matching, hyrsm
from fsar_core.methods.published import PublishedMethod
from fsar_core.stages import SpatialPool, VideoAttention
from tests.fsar_core import tiny
from tests.fsar_core.lively import CLASSES, built, episode

VARIANTS = [(own.METHOD, variant) for own in (hyrsm, frame_matching) for variant in own.METHOD.variants]


def numbers(module: torch.nn.Module) -> int:
    return sum(own.numel() for own in module.parameters())


def test_parameters_behind_a_resnet_50_are_the_published_ones() -> None:
    with torch.device("meta"):
        made = hyrsm.hyrsm(ResNet.Config(weights="none")).build(frames=8, crop=224, classes=64)
    assert numbers(made) == 65_596_544
    assert numbers(made.steps["attended"]) == 16_783_360
    assert numbers(made.heads[0]) == 16_783_360 + 8_390_656
    assert numbers(made.losses[0]) == 131_136


def test_it_runs_on_the_meta_device() -> None:
    with torch.device("meta"):
        made = hyrsm.hyrsm(tiny.BACKBONE).build(frames=4, crop=16, classes=6).eval()
        frames = made.steps["attended"](torch.empty(5, 4, 32))
        given = Features(support=frames[:3].unsqueeze(1), query=frames[3:])
        assert made.heads[0](given).logits.shape == (2, 3)


def test_a_test_needs_neither_the_classifier_nor_its_weights() -> None:
    whole, config = episode(shot=2), hyrsm.hyrsm(tiny.BACKBONE)
    made = built(config)
    bare = config.for_test().build(frames=tiny.FRAMES, crop=tiny.CROP, classes=CLASSES)
    bare.load_state_dict({name: own for name, own in made.state_dict().items() if not name.startswith("losses.")})
    assert torch.equal(bare.predict(whole), made.predict(whole))


def test_every_frame_of_supports_and_queries_is_classified() -> None:
    made, whole = built(hyrsm.hyrsm(tiny.BACKBONE, classifier_weight=0.4)), episode(shot=2)
    with torch.no_grad():
        output = made(whole)
        loss = made.losses[0]
        assert isinstance(loss, BaseClasses)
        scores = loss.classifier(made.embed(whole)["attended"]).log_softmax(-1)
    entropies = [-float(row[label]) for video, label in zip(scores, whole.class_ids, strict=True) for row in video]
    assert len(entropies) == (6 + 6) * tiny.FRAMES
    expected = sum(entropies) / len(entropies)
    assert output.losses["base_classes"].item() == pytest.approx(expected, rel=1e-5)
    assert output.total.item() == pytest.approx(output.losses["set_relation_0"].item() + 0.4 * expected, rel=1e-5)


def test_features_on_kinetics_keep_their_size() -> None:
    stage = hyrsm.kinetics(ResNet.Config()).steps[1].stage
    assert isinstance(stage, VideoAttention.Config)
    made = stage.build(Shape(level="frame", frames=8, dim=2048), classes=64)
    assert made.amplitude == 1
    assert float(made.positions.abs().max()) == pytest.approx(0.01)


def test_heads_that_do_not_divide_the_channels_and_a_classifier_of_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide the 12 channels of a frame, got 8"):
        SetRelation.Config().check(Shape(level="frame", frames=4, dim=12))
    maps = MethodConfig(
        backbone=tiny.BACKBONE,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        losses=(BaseClasses.Config(reads="backbone"),),
    )
    with pytest.raises(ValueError, match="needs frame or global_local features, but 'backbone' gives a map"):
        maps.wiring(frames=4, crop=16, classes=6)
    with pytest.raises(ValidationError, match="reads"):
        BaseClasses.Config.model_validate({"kind": "base_classes"})


@pytest.mark.parametrize(("method", "variant"), VARIANTS, ids=[f"{m.title}-{v}" for m, v in VARIANTS])
class TestVariants:
    def test_it_differs_from_the_others_and_says_what_it_is(self, method: PublishedMethod, variant: str) -> None:
        config = method.variants[variant](tiny.BACKBONE)
        assert [name for name, own in method.variants.items() if own(tiny.BACKBONE) == config] == [variant]
        assert method.variants[variant].__doc__
        run = method.run(tiny.recipe(steps=2), config)
        assert run.method == config
        assert RunConfig.model_validate_json(run.model_dump_json()) == run

    def test_every_weight_gets_a_gradient(self, method: PublishedMethod, variant: str) -> None:
        made = built(method.variants[variant](tiny.BACKBONE)).train()
        made(episode(shot=2)).total.backward()
        assert [name for name, own in made.named_parameters() if own.grad is None] == []
