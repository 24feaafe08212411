"""The cheap form of a run: what stays, what is frozen, and which runs have none."""

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from fsar_core.config import RunConfig
from fsar_core.data.config import Flip, Jitter
from fsar_core.given import given_step
from fsar_core.methods import frame_matching, i2st, sgtm, strm, vim
from fsar_core.presets import clean, laptop, laptop64
from search_spaces.head_only import NoCheapFormError, head_only, head_only_space
from search_spaces.spaces import joint, mask_ratio

LAPTOP = laptop("motionshapes")
SPACE = mask_ratio.SPACES[0].at(LAPTOP)


def test_only_the_backbone_and_what_changes_clips_differ_from_the_full_run() -> None:
    full = sgtm.run(LAPTOP, sgtm.sgtm(LAPTOP.backbone))
    moving = full.data.model_copy(update={"flip": Flip(query=0.5), "jitter": Jitter()})
    full = RunConfig.model_validate(dict(full) | {"data": moving})
    cheap = head_only(full)
    assert cheap.method.backbone.frozen
    assert cheap.data.is_deterministic()
    assert cheap.data.test_sampling == full.data.test_sampling
    changed = {name for name, value in full if getattr(cheap, name) != value}
    assert changed == {"method", "data"}
    assert cheap.method.model_copy(update={"backbone": full.method.backbone}) == full.method
    assert RunConfig.model_validate_json(cheap.canonical_json()).run_id() == cheap.run_id() != full.run_id()
    assert head_only(cheap) == cheap


def test_random_test_frames_become_the_middles_of_their_segments() -> None:
    full = sgtm.run(LAPTOP, sgtm.sgtm(LAPTOP.backbone))
    data = full.data.model_copy(update={"test_sampling": "segment-random"})
    cheap = head_only(full.model_copy(update={"data": data}))
    assert (cheap.data.train_sampling, cheap.data.test_sampling) == ("segment-centre", "segment-centre")


def test_methods_that_read_the_map_are_given_the_map() -> None:
    recipe = laptop64("motionshapes")
    runs = {
        "strm": strm.run(recipe, strm.strm(recipe.backbone)),
        "vim": vim.run(recipe, vim.no_sampler(recipe.backbone)),
        "i2st": i2st.run(recipe, i2st.i2st(recipe.backbone)),
    }
    assert {name: given_step(head_only(run)) for name, run in runs.items()} == dict.fromkeys(runs, "backbone")


def test_a_run_without_a_cheap_form_tells_every_reason() -> None:
    recipe = clean("kinetics100")
    with pytest.raises(NoCheapFormError, match=r"'intra_video' reads the frames.*'video_sampler'.*3\.1 MiB a clip"):
        head_only(vim.run(recipe, vim.vim(recipe.backbone)))
    with pytest.raises(ValueError, match="nothing but the backbone has weights to train"):
        head_only(frame_matching.run(recipe, frame_matching.otam(recipe.backbone)))


def test_a_space_of_cheap_forms_has_the_same_points_under_its_own_name() -> None:
    cheap = head_only_space(mask_ratio.SPACES[0])
    assert cheap.name == "mask_ratio/head_only"
    assert cheap.at(LAPTOP).first == SPACE.first
    assert cheap.grid_points == ()
    trials = [optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask() for _ in range(2)]
    runs = [cheap.define(trials[0], LAPTOP), SPACE.define(trials[1], LAPTOP)]
    assert trials[0].params == trials[1].params
    assert trials[0].distributions == trials[1].distributions
    assert runs[0] == head_only(runs[1])


def test_a_point_without_a_cheap_form_is_a_pruned_trial() -> None:
    cheap = head_only_space(joint.SPACES[0])

    def objective(trial: optuna.Trial) -> float:
        cheap.define(trial, LAPTOP)
        return 0.5

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=40)
    states = {trial.params["method"]: trial.state for trial in study.trials}
    without = {"protonet", "otam", "bimhm"}
    assert {name for name, state in states.items() if state is TrialState.PRUNED} == without
    assert {name for name, state in states.items() if state is TrialState.COMPLETE} == set(states) - without


def test_what_a_point_needs_first_is_shared_with_its_full_form() -> None:
    full = SPACE.define(FixedTrial(dict(SPACE.first[0])), LAPTOP)
    assert [need.run.run_id() for need in head_only(full).needs] == [need.run.run_id() for need in full.needs]
    assert len(full.needs) == 2
