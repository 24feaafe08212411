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


@pytest.mark.parametrize("heads", [1, 8])
def test_the_relation_starts_as_in_the_released_code(heads: int) -> None:
    torch.manual_seed(0)
    made = SetRelation.Config(heads=heads).build(Shape(level="frame", frames=4, dim=256)).relation
    spread = (2 / (256 + 256 / heads)) ** 0.5
    for own in made.qkv.weight.detach().chunk(3):
        assert own.std().item() == pytest.approx(spread, rel=0.02)
        assert own.abs().max() > 3.5 * spread  # normal: a uniform draw ends at 1.73
        assert own.mean().abs() < 0.02 * spread
    out = made.out.weight.detach()
    assert out.std().item() == pytest.approx((1 / 256) ** 0.5, rel=0.02)
    assert out.abs().max() > 3.5 / 16


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


def run_on(dataset: str, method: MethodConfig) -> RunConfig:
    recipe = tiny.recipe(steps=2)
    return hyrsm.run(recipe.model_copy(update={"data": recipe.data.model_copy(update={"dataset": dataset})}), method)


@pytest.mark.parametrize(
    ("dataset", "weight", "amplification", "position_scale"),
    [
        ("ssv2_full", 0.6, 10.0, 1.0),
        ("ssv2_small", 0.15, 10.0, 1.0),
        ("hmdb51", 0.15, 10.0, 1.0),
        ("ucf101", 0.15, 10.0, 1.0),
        ("kinetics100", 0.4, 32.0, 0.01),
    ],
)
def test_a_run_has_the_published_weight_and_scales_of_its_data_set(
    dataset: str, weight: float, amplification: float, position_scale: float
) -> None:
    method = run_on(dataset, hyrsm.hyrsm(tiny.BACKBONE)).method
    assert [loss.weight for loss in method.losses] == [weight]
    attention = VideoAttention.Config(amplification=amplification, position_scale=position_scale)
    assert method.steps[1].stage == attention
    no_relation = run_on(dataset, hyrsm.no_relation(tiny.BACKBONE)).method
    assert [loss.weight for loss in no_relation.losses] == [weight]
    assert no_relation.steps[1].stage == attention
    assert run_on(dataset, hyrsm.no_classifier(tiny.BACKBONE)).method.losses == ()


def test_the_variants_of_data_sets_are_what_a_run_on_them_has() -> None:
    for dataset, variant in (("kinetics100", hyrsm.kinetics), ("ssv2_full", hyrsm.ssv2_full)):
        assert run_on(dataset, hyrsm.hyrsm(tiny.BACKBONE)).method == variant(tiny.BACKBONE)
        for other in ("hmdb51", "ssv2_full", "kinetics100"):
            assert run_on(other, variant(tiny.BACKBONE)).method.losses == variant(tiny.BACKBONE).losses


@pytest.mark.parametrize("dataset", ["ssv2_full", "kinetics100", "hmdb51"])
def test_explicit_settings_stay_on_every_data_set_and_make_runs_of_their_own(dataset: str) -> None:
    attention = VideoAttention.Config(amplification=3.0, dropout=0.3)
    methods = [hyrsm.hyrsm(tiny.BACKBONE, video_attention=attention, classifier_weight=weight) for weight in (0.3, 0.5)]
    runs = [run_on(dataset, method) for method in methods]
    assert [run.method for run in runs] == methods
    assert runs[0].run_id() != runs[1].run_id()


def test_other_settings_of_the_attention_do_not_keep_a_data_set_from_its_scales() -> None:
    attention = VideoAttention.Config(dropout=0.3)
    run = run_on("kinetics100", hyrsm.hyrsm(tiny.BACKBONE, video_attention=attention))
    expected = VideoAttention.Config(dropout=0.3, amplification=32.0, position_scale=0.01)
    assert run.method.steps[1].stage == expected


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
