"""Presets: the published schedules in optimiser steps, and trainings that hang together."""

import pytest

from fsar_core.config import RunConfig
from fsar_core.losses import Classification, MaskedReconstruction
from fsar_core.methods import sgtm
from fsar_core.presets import PRESETS, Recipe, clean, default_preset, laptop, laptop64, smoke

SCHEDULES: dict[str, dict[int, float]] = {
    "hmdb51": {1: 1e-5, 126: 5e-5, 250: 5e-5, 251: 2.5e-5, 375: 2.5e-5, 376: 5e-6, 500: 5e-6},
    "ucf101": {1: 1e-5, 501: 5e-5, 1000: 5e-5, 1001: 5e-6, 1500: 5e-6},
    "kinetics100": {1: 5e-6, 45: 1.25e-5, 89: 2e-5, 175: 2e-5, 176: 2e-6, 263: 2e-6, 264: 2e-7, 1250: 2e-7},
    "ssv2_small": {1: 2e-5, 376: 1e-4, 750: 1e-4, 751: 1e-5, 1500: 1e-5, 1501: 1e-6, 5000: 1e-6},
    "ssv2_full": {1: 2e-5, 1501: 1e-4, 4500: 1e-4, 4501: 1e-5, 7500: 1e-5, 7501: 1e-6, 12500: 1e-6},
}
"""Learning rate at a step, worked out from the code base's effective points."""

HOUSE = ("laptop", "laptop64", "smoke")
RECIPES = {name: preset("motionshapes" if name in HOUSE else "kinetics100") for name, preset in PRESETS.items()}
each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@pytest.mark.parametrize("dataset", SCHEDULES)
def test_the_rate_follows_the_published_points(dataset: str) -> None:
    course = clean(dataset).episodes
    for step, rate in SCHEDULES[dataset].items():
        assert course.optimizer.lr * course.schedule.factor(step, course.training.steps) == pytest.approx(rate)
    assert course.training.steps == max(SCHEDULES[dataset])


@pytest.mark.parametrize(
    ("dataset", "clips"),
    [("hmdb51", 4280), ("ucf101", 9154), ("kinetics100", 6400), ("ssv2_small", 6400), ("ssv2_full", 67013)],
)
def test_class_scores_train_for_forty_epochs_of_what_is_not_held_out(dataset: str, clips: int) -> None:
    course = clean(dataset).scores
    assert course.batches.kind == "clips"
    epochs = course.training.steps * course.batches.size / (clips * (1 - course.batches.held_out))
    assert 39.5 < epochs <= 40.0


def test_the_clean_preset_is_the_papers_setting() -> None:
    run = clean("kinetics100").few_shot(sgtm.sgtm(clean("kinetics100").backbone))
    assert run.batches.kind == "episodes"
    assert (run.batches.way, run.batches.shot, run.batches.queries, run.batches.per_step) == (5, 1, 6, 16)
    assert (run.data.frames, run.data.crop, run.data.resize.size) == (8, 224, 256)
    assert (run.optimizer.kind, run.optimizer.weight_decay) == ("adam", 1e-3)
    assert run.selection.keep == "best"
    assert run.needs == ()


@each_recipe
@pytest.mark.parametrize("name", ["baseline", "encoder_only", "sgtm"])
def test_every_method_of_the_paper_is_a_valid_run_that_survives_json(recipe: Recipe, name: str) -> None:
    run = sgtm.run(recipe, getattr(sgtm, name)(recipe.backbone))
    assert RunConfig.model_validate_json(run.model_dump_json()) == run
    assert run.method.backbone == recipe.backbone
    assert run.batches == recipe.episodes.batches


@each_recipe
def test_class_scores_are_trained_on_still_clips_before_a_frozen_backbone(recipe: Recipe) -> None:
    run = recipe.class_scores(sgtm.score_layers(recipe.backbone))
    assert run.data.is_deterministic()
    assert not recipe.data.is_deterministic()
    drawn = {name: getattr(recipe.data, name) for name in ("random_crop", "train_sampling", "flip", "jitter")}
    assert run.data.model_copy(update=drawn) == recipe.data
    assert (run.selection.keep, run.selection.on) == ("best", "val")
    assert run.method.backbone == recipe.backbone.model_copy(update={"frozen": True})
    assert [loss.kind for loss in run.method.losses] == [Classification.Config().kind]
    assert run.needs == recipe.needs
    (loss,) = sgtm.sgtm(recipe.backbone).losses
    assert isinstance(loss, MaskedReconstruction.Config)
    assert run.method.steps[-1].stage == loss.guide


@each_recipe
def test_the_last_step_is_looked_at_and_val_often_enough_to_select(recipe: Recipe) -> None:
    for course in (recipe.episodes, recipe.scores, *(need.run for need in recipe.needs)):
        assert 1 <= course.training.val_every <= course.training.steps / (1 if recipe == RECIPES["tiny"] else 2)


def test_a_small_backbone_is_pretrained_once_for_all_that_start_from_it() -> None:
    recipe = laptop("motionshapes")
    run = sgtm.run(recipe, sgtm.sgtm(recipe.backbone))
    assert [need.target for need in run.needs] == ["backbone", "losses.0.guide"]
    pretraining, scores = (need.run for need in run.needs)
    assert [need.run for need in scores.needs] == [pretraining]
    assert pretraining.method.backbone == recipe.backbone
    assert not pretraining.method.backbone.frozen
    assert pretraining.needs == ()


def test_smoke_is_the_laptop_with_fewer_steps() -> None:
    quick, slow = smoke("motionshapes"), laptop("motionshapes")
    assert (quick.backbone, quick.data, quick.episodes.batches) == (slow.backbone, slow.data, slow.episodes.batches)
    for ours, theirs in ((quick.episodes, slow.episodes), (quick.scores, slow.scores)):
        assert ours.training.steps <= 20 < theirs.training.steps


def test_laptop64_is_the_laptop_with_maps_of_four_by_four_cells() -> None:
    wide, narrow = laptop64("motionshapes"), laptop("motionshapes")
    assert (wide.backbone, wide.episodes, wide.selection) == (narrow.backbone, narrow.episodes, narrow.selection)
    assert (wide.backbone.shape(8, wide.data.crop).cells, narrow.backbone.shape(8, narrow.data.crop).cells) == (4, 3)
    assert [need.run.data for need in wide.needs] == [wide.data]


def test_the_data_set_s_name_goes_into_every_run() -> None:
    recipe = laptop("my_videos")
    runs = [sgtm.run(recipe, sgtm.sgtm(recipe.backbone))]
    runs += [need.run for need in runs[0].needs]
    assert {run.data.dataset for run in runs} == {"my_videos"}


def test_a_data_set_gets_the_preset_that_suits_it() -> None:
    assert default_preset("motionshapes") == "laptop"
    assert default_preset("kinetics100") == "clean"
