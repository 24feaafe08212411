"""Which points of a search are stopped early, under one driver and under the next."""

from types import SimpleNamespace
from typing import Any, cast

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from ray.tune.experiment import Trial

from fsar_core.config import Training
from sweeps.engine.search_stopping import LastingAsha
from sweeps.engine.search_study import KEY, LOOKS, TWIN

LAPTOP = Training(steps=200, val_every=50)
"""Rungs at 50 and 150."""
CONTROLLER: Any = None


def past(key: str, state: TrialState, looks: dict[int, float], **attributes: object) -> optuna.trial.FrozenTrial:
    value = 0.5 if state is TrialState.COMPLETE else None
    return create_trial(
        state=state, value=value, intermediate_values=looks, user_attrs={KEY: key, **attributes}, params={}
    )


def added(asha: LastingAsha, key: str) -> Trial:
    trial = cast(Trial, SimpleNamespace(trial_id=f"tune's {key}", config={"key": key}, status=Trial.RUNNING))
    asha.on_trial_add(CONTROLLER, trial)
    return trial


def look(asha: LastingAsha, trial: Trial, step: int, accuracy: float) -> str:
    return asha.on_trial_result(CONTROLLER, trial, {"step": step, "val_accuracy": accuracy})


def test_a_point_is_judged_by_those_of_drivers_that_are_gone() -> None:
    ended = [
        past("a", TrialState.COMPLETE, {50: 0.4, 100: 0.5, 150: 0.6, 200: 0.6}),
        past("b", TrialState.PRUNED, {50: 0.3}),
    ]
    asha = LastingAsha(LAPTOP, ended)
    assert look(asha, added(asha, "worse"), 50, 0.2) == LastingAsha.STOP
    assert look(asha, added(asha, "best"), 50, 0.45) == LastingAsha.CONTINUE
    alone = LastingAsha(LAPTOP, [])
    assert look(alone, added(alone, "first"), 50, 0.2) == LastingAsha.CONTINUE


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.FAIL])
def test_a_point_that_goes_on_has_its_rungs_behind_it(state: TrialState) -> None:
    asha = LastingAsha(LAPTOP, [past("a", state, {50: 0.30})])
    resumed = added(asha, "a")
    assert look(asha, resumed, 100, 0.9) == LastingAsha.CONTINUE
    other = added(asha, "b")
    assert look(asha, other, 50, 0.31) == LastingAsha.CONTINUE, "against 0.30 at step 50, not 0.9 at step 100"


def test_a_look_that_was_missed_is_not_taken_for_that_of_a_rung() -> None:
    asha = LastingAsha(LAPTOP, [past("a", TrialState.RUNNING, {})])
    resumed = added(asha, "a")
    assert look(asha, resumed, 100, 0.9) == LastingAsha.CONTINUE
    assert look(asha, added(asha, "b"), 50, 0.1) == LastingAsha.CONTINUE


def test_a_look_that_comes_again_is_not_taken_for_that_of_a_rung_before() -> None:
    asha = LastingAsha(LAPTOP, [past("a", TrialState.RUNNING, {})])
    restarted = added(asha, "a")
    for _ in range(2):  # its worker dies and comes past the step again; its look at 50 was lost with a driver
        assert look(asha, restarted, 150, 0.9) == LastingAsha.CONTINUE
        asha.on_trial_add(CONTROLLER, restarted)
    assert look(asha, added(asha, "b"), 50, 0.1) == LastingAsha.CONTINUE


def test_nothing_is_stopped_at_its_last_step() -> None:
    ended = [past(f"{i}", TrialState.COMPLETE, {4: 0.9, 50: 0.9, 150: 0.9, 200: 0.9}) for i in range(3)]
    for training in (
        LAPTOP,
        Training(steps=150, val_every=50),
        Training(steps=4, val_every=4),
        Training(steps=4, val_every=9),
    ):
        asha = LastingAsha(training, ended)
        late = added(asha, "late")
        assert look(asha, late, training.steps, 0.1) == LastingAsha.CONTINUE
        asha.on_trial_complete(CONTROLLER, late, {"step": training.steps, "val_accuracy": 0.1})


def test_looks_of_a_study_with_a_cost_count_and_twins_do_not() -> None:
    weighed = create_trial(state=TrialState.PRUNED, user_attrs={KEY: "a", LOOKS: {"50": 0.6}}, params={})
    twin = past("t", TrialState.COMPLETE, {50: 0.9}, **{TWIN: 0})
    asha = LastingAsha(LAPTOP, [weighed, twin])
    assert look(asha, added(asha, "b"), 50, 0.7) == LastingAsha.CONTINUE
    assert look(asha, added(asha, "c"), 50, 0.5) == LastingAsha.STOP


def test_a_failed_try_and_the_one_after_it_are_one_point() -> None:
    tries = [past("a", TrialState.FAIL, {50: 0.6}), past("a", TrialState.COMPLETE, {150: 0.7, 200: 0.7})]
    asha = LastingAsha(LAPTOP, tries)
    trial = added(asha, "b")
    assert look(asha, trial, 50, 0.65) == LastingAsha.CONTINUE
    assert look(asha, trial, 150, 0.6) == LastingAsha.STOP


def test_a_run_that_is_not_judged_goes_on() -> None:
    asha = LastingAsha(LAPTOP, [past("a", TrialState.COMPLETE, {50: 0.9})])
    needed = added(asha, "needed")
    assert asha.on_trial_result(CONTROLLER, needed, {"step": 50, "points": []}) == LastingAsha.CONTINUE
    asha.on_trial_complete(CONTROLLER, needed, {"step": 0, "failed": True})
