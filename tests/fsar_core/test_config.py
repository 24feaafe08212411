"""Configurations: refused with all their faults, and named by an id that only their content decides."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from fsar_core.backbones import ResNet
from fsar_core.config import ClipBatches, EvalConfig, Need, RunConfig
from fsar_core.losses import Classification, MaskedReconstruction
from fsar_core.losses.frame_masking import MaskStrategy
from fsar_core.matchers import Otam
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods import sgtm
from fsar_core.stages import ClassScores, SpatialPool, TokenTransformer
from tests.fsar_core import tiny

POOLED = Step(name="pooled", stage=SpatialPool.Config())
ENCODED = Step(name="encoded", stage=TokenTransformer.Config(token_dim=8))
HEAD = Head(matcher=Otam.Config(), reads="pooled")


def full_run() -> RunConfig:
    """With everything optional in it: a need, jitter, a guide."""
    return sgtm.run(tiny.recipe(), tiny.METHODS["sgtm"])


def changed(path: str, value: object) -> str:
    """JSON of ``full_run`` with one leaf replaced or added."""
    values: Any = full_run().model_dump(mode="json")
    *folders, last = path.split(".")
    place = values
    for folder in folders:
        place = place[int(folder)] if folder.isdecimal() else place[folder]
    place[last] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    "path",
    ["shot_test", "training.lr", "data.resize.sise", "method.backbone.dropout", "method.losses.0.lambda", "batches.n"],
)
def test_an_unknown_key_is_refused_with_its_path(path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate_json(changed(path, 1))
    (error,) = caught.value.errors()
    assert error["type"] in ("extra_forbidden", "unexpected_keyword_argument")
    # the members of a union stand in the path under their kind
    assert [part for part in path.split(".") if part not in map(str, error["loc"])] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", "0"),
        ("seed", 0.5),
        ("seed", -1),
        ("optimizer.lr", "0.1"),
        ("optimizer.lr", 0.0),
        ("data.random_crop", 1),
        ("data.frames", 0),
        ("data.dataset", "../secret"),
        ("data.flip.query", 1.5),
        ("method.losses.0.strategy", "best"),
        ("training.steps", None),
        ("data.normalisation.std.1", 0.0),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(path: str, value: object) -> None:
    text = changed(path, value) if not path.endswith(".1") else changed("data.normalisation.std", [1.0, value, 1.0])
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate_json(text)
    (error,) = caught.value.errors()
    assert [part for part in path.split(".") if part not in map(str, error["loc"])] == []


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_finite_are_refused(value: str) -> None:
    text = full_run().canonical_json().replace('"lr":0.001', f'"lr":{value}')
    assert value in text
    with pytest.raises(ValidationError, match=r"optimizer\.lr"):
        RunConfig.model_validate_json(text)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        full_run().seed = 3  # pyright: ignore[reportAttributeAccessIssue] - what this test is about


def test_equal_configs_have_one_id_through_json_and_in_any_order_of_keys() -> None:
    run = full_run()

    def reversed_keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reversed_keys(value[key]) for key in reversed(value)}
        return [reversed_keys(item) for item in value] if isinstance(value, list) else value

    again = RunConfig.model_validate_json(run.model_dump_json())
    turned = RunConfig.model_validate_json(json.dumps(reversed_keys(run.model_dump(mode="json")), indent=3))
    assert again == turned == run
    assert again.run_id() == turned.run_id() == run.run_id() == full_run().run_id()
    assert len(run.run_id()) == 16
    assert int(run.run_id(), 16) >= 0


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """(path, value) of all numbers, texts and switches."""
    if isinstance(value, dict):
        return [leaf for key, own in value.items() for leaf in leaves(own, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for i, own in enumerate(value) for leaf in leaves(own, f"{path}.{i}")]
    return [(path.removeprefix("."), value)]


def test_every_changed_number_gives_another_id() -> None:
    run, ids, tried = full_run(), {full_run().run_id()}, 0
    for path, value in leaves(run.model_dump(mode="json")):
        if isinstance(value, bool) or not isinstance(value, int | float) or path.split(".")[-1].isdecimal():
            continue
        for other in (value + 1, value + 0.125, value * 0.9):
            if other == value:
                continue
            try:
                ids.add(RunConfig.model_validate_json(changed(path, other)).run_id())
            except ValidationError:
                continue
            tried += 1
            break
    assert tried > 40
    assert len(ids) == tried + 1


def test_whole_and_fractional_writing_of_a_number_give_one_id() -> None:
    whole = RunConfig.model_validate_json(changed("method.losses.0.weight", 1))
    assert whole.run_id() == RunConfig.model_validate_json(changed("method.losses.0.weight", 1.0)).run_id()


def test_another_seed_keeps_all_else_and_shares_what_is_needed_first() -> None:
    run = full_run()
    other = run.with_seed(7)
    assert other.seed == 7
    assert other.needs == run.needs != ()
    assert other.run_id() != run.run_id()
    assert other.with_seed(0) == run
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        run.with_seed(-1)


def test_an_evaluation_is_named_by_its_run_and_its_own_content() -> None:
    run, evaluation = full_run(), EvalConfig(shot=5)
    ids = [
        evaluation.eval_id(run),
        evaluation.eval_id(run.with_seed(1)),
        EvalConfig(shot=1).eval_id(run),
        EvalConfig(shot=5, episodes=100).eval_id(run),
        EvalConfig(shot=5, dataset="other").eval_id(run),
        EvalConfig(shot=5, split="val").eval_id(run),
        EvalConfig(shot=5, method=run.method.for_test()).eval_id(run),
        run.run_id(),
    ]
    assert len(set(ids)) == len(ids)
    assert EvalConfig.model_validate_json(evaluation.model_dump_json()).eval_id(run) == ids[0]


def test_unknown_names_are_reported_together() -> None:
    with pytest.raises(ValidationError) as caught:
        MethodConfig(
            backbone=tiny.BACKBONE,
            steps=(POOLED, POOLED, Step(name="late", stage=SpatialPool.Config(), reads="nowhere")),
            heads=(Head(matcher=Otam.Config(), reads="matched"),),
            losses=(MaskedReconstruction.Config(reads="coded"),),
        )
    text = str(caught.value)
    for fault in (
        "the name 'pooled' is taken",
        "step 'late' reads 'nowhere'; before it there are ['backbone', 'pooled', 'pooled']",
        "head reads 'matched'; there are",
        "loss reads 'coded'; there are",
    ):
        assert fault in text


@pytest.mark.parametrize("name", ["frames", "backbone"])
def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"the name '{name}' is taken"):
        MethodConfig(backbone=tiny.BACKBONE, steps=(Step(name=name, stage=SpatialPool.Config()),), heads=(HEAD,))


def test_a_method_without_head_and_loss_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a head or a loss"):
        MethodConfig(backbone=tiny.BACKBONE, steps=(POOLED,))


def test_parts_that_do_not_fit_are_reported_together() -> None:
    method = MethodConfig(
        backbone=tiny.BACKBONE,
        steps=(
            POOLED,
            Step(name="again", stage=SpatialPool.Config()),
            Step(name="odd", stage=TokenTransformer.Config(token_dim=7), reads="pooled"),
            Step(name="behind", stage=TokenTransformer.Config(token_dim=8), reads="odd"),
        ),
        heads=(Head(matcher=Otam.Config(), reads="backbone"), Head(matcher=Otam.Config(), reads="behind")),
        losses=(MaskedReconstruction.Config(reads="pooled"), Classification.Config(reads="pooled")),
    )
    with pytest.raises(ValueError, match="step 'again'") as caught:
        method.wiring(frames=4, crop=16, classes=3)
    assert str(caught.value).split("; ") == [
        "step 'again': spatial_pool needs a map, but gets frame features",
        "remove one of two pools",
        "step 'odd': token_dim must divide the 32 channels of a frame, got 7",
        "head 'otam': needs frame features, but 'backbone' gives a map",
        "loss 'masked_reconstruction': masked_reconstruction needs a token_transformer step, "
        "but 'pooled' is another kind",
        "loss 'classification': classification needs a class_scores step, but 'pooled' is another kind",
    ]


def test_a_loss_that_reads_the_backbone_is_refused_and_not_a_crash() -> None:
    method = MethodConfig(
        backbone=tiny.BACKBONE, steps=(POOLED,), losses=(MaskedReconstruction.Config(reads="backbone"),)
    )
    with pytest.raises(ValueError, match="needs a token_transformer step, but 'backbone' is another kind"):
        method.wiring(frames=4, crop=16, classes=3)


def test_the_faults_of_a_run_are_reported_together() -> None:
    run = full_run()
    values = dict(run) | {
        "data": run.data.model_copy(update={"crop": 32, "frames": 4}),
        "batches": ClipBatches(),
        "needs": (run.needs[0], run.needs[0]),
        "method": tiny.METHODS["sgtm"].model_copy(
            update={"losses": (MaskedReconstruction.Config(ratio=0.9, guide=ClassScores.Config()),)}
        ),
    }
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate(values)
    text = str(caught.value)
    for fault in (
        "leaves no visible frame of 4",
        "data.crop must be at most data.resize.size 20, got 32",
        "heads need batches of kind 'episodes', and only they; got 1 heads, 'clips'",
        "needs: each target once, got ['losses.0.guide', 'losses.0.guide']",
    ):
        assert fault in text


def test_clip_batches_need_class_scores_that_select_the_run() -> None:
    method = MethodConfig(
        backbone=tiny.BACKBONE,
        steps=(POOLED, ENCODED),
        losses=(MaskedReconstruction.Config(strategy="random", guide=None),),
    )
    with pytest.raises(ValidationError, match="need a loss 'classification'"):
        RunConfig.model_validate(dict(full_run()) | {"method": method, "batches": ClipBatches(), "needs": ()})


@pytest.mark.parametrize(
    ("strategy", "ratio", "guide", "message"),
    [
        ("top", 0.5, None, "strategy 'top' needs a guide"),
        ("random", 0.5, ClassScores.Config(), "strategy 'random' must have no guide"),
        ("none", 0.5, None, "ratio 0 goes with strategy 'none' and only with it"),
        ("random", 0.0, None, "ratio 0 goes with strategy 'none' and only with it"),
        ("random", 1.0, None, "less than 1"),
        ("random", -0.1, None, "greater than or equal to 0"),
    ],
)
def test_masking_that_contradicts_itself_is_refused(
    strategy: MaskStrategy, ratio: float, guide: ClassScores.Config | None, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        MaskedReconstruction.Config(strategy=strategy, ratio=ratio, guide=guide)


def test_a_guide_backbone_needs_a_guide_and_the_width_that_is_read() -> None:
    with pytest.raises(ValidationError, match="guide_backbone without a guide"):
        MaskedReconstruction.Config(strategy="random", guide=None, guide_backbone=tiny.BACKBONE)
    loss = MaskedReconstruction.Config(guide_backbone=ResNet.Config(depth=18))
    method = MethodConfig(backbone=tiny.BACKBONE, steps=(POOLED, ENCODED), losses=(loss,))
    with pytest.raises(ValueError, match="guide_backbone must give the 32 channels that 'encoded' reads, got 512"):
        method.wiring(frames=4, crop=16, classes=3)


@pytest.mark.parametrize("layers", [((8, 2),), ((0, 3),)])
def test_class_score_layers_must_keep_the_length_and_have_channels(layers: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValidationError, match="kernels must be odd and widths >= 1"):
        ClassScores.Config(layers=layers)


def test_a_need_says_where_weights_stand_and_go() -> None:
    with pytest.raises(ValidationError, match="source"):
        Need(run=full_run().needs[0].run, source="Steps scores", target="losses.0.guide")
