"""Weights chosen on test, as some code bases do: the looks are at test clips, and at no others."""

import pytest
import torch
from pydantic import ValidationError

from fsar_core.config import EvalConfig, RunConfig, Selection
from fsar_core.evaluate import evaluate
from fsar_core.methods import sgtm
from fsar_core.presets import PRESETS
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny


def chosen_on(split: str) -> RunConfig:
    selection = Selection.model_validate({"on": split, "episodes": 40})
    return RunConfig.model_validate(dict(tiny.run("baseline")) | {"selection": selection})


def test_a_look_is_the_evaluation_on_the_same_test_episodes() -> None:
    run, looks, measured = chosen_on("test"), dict[int, float](), dict[int, float]()
    test = tiny.clips("test")

    def report(progress: Progress, state: TrainState) -> None:
        if progress.val_accuracy is not None:
            looks[progress.step] = progress.val_accuracy
            config = EvalConfig(episodes=40)
            measured[progress.step] = evaluate(state.method, test, config, torch.device("cpu")).accuracy

    state = tiny.started(run)
    train(state, tiny.clips("train"), test, tiny.CPU, report)
    assert looks == measured
    assert len(looks) == 3
    assert state.best_val == max(looks.values()) == looks[state.best_step]


@pytest.mark.parametrize(("on", "given"), [("test", "val"), ("val", "test"), ("test", "train")])
def test_clips_of_another_split_are_refused(on: str, given: str) -> None:
    run = chosen_on(on)
    with pytest.raises(ValueError, match=f"selection.on is '{on}', but the clips to look at are '{given}'"):
        train(tiny.started(run), tiny.clips("train"), tiny.clips(given), tiny.CPU, lambda _, __: None)  # pyright: ignore[reportArgumentType] - a split's name


def test_labelled_clips_never_select_on_test() -> None:
    run = tiny.recipe().class_scores(sgtm.score_layers(tiny.BACKBONE))
    with pytest.raises(ValidationError, match=r"selection\.on 'test' needs batches of kind 'episodes'"):
        RunConfig.model_validate(dict(run) | {"selection": Selection(on="test")})


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_run_needs_first_never_looks_at_test(preset: str) -> None:
    recipe = PRESETS[preset]("hmdb51")
    run = sgtm.run(recipe, sgtm.sgtm(recipe.backbone))
    assert {need.run.selection.on for need in run.needs} == {"val"}


def test_where_weights_are_chosen_is_part_of_a_run() -> None:
    assert chosen_on("val").run_id() != chosen_on("test").run_id()
