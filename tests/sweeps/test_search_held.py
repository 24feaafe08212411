"""A study that is there, and a space that has changed since."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import BaseTrial, TrialState

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.head_only import NoCheapFormError
from search_spaces.space import Point
from sweeps.engine.search_held import changed_fault, held_study
from sweeps.engine.search_study import KEY, TWIN, open_study
from sweeps.engine.site import BadRequest
from tests.fsar_core.tiny import recipe
from tests.sweeps.made_records import run_config
from tests.sweeps.made_search import made_space

Define = Callable[[BaseTrial, Recipe], RunConfig]


def defined(name: str, low: float, high: float, *regions: str, log: bool = False, other: bool = True) -> Define:
    def define(trial: BaseTrial, _: Recipe) -> RunConfig:
        trial.suggest_categorical("region", regions)
        if other:
            trial.suggest_int("frames", 2, 8)
        return run_config(trial.suggest_float(name, low, high, log=log))

    return define


BEGUN = defined("lam", 0.1, 1.0, "top", "bottom")
FIRST: Point = {"region": "top", "frames": 4, "lam": 0.5}


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'studies.db'}"


def begun(folder: Path, state: TrialState, **attributes: object) -> optuna.Study:
    """With one point."""
    study = open_study(database(folder), "made/x", made_space(BEGUN, FIRST), "motionshapes")
    if state is not TrialState.WAITING:
        trial = study.ask()
        BEGUN(trial, recipe())
        for key, value in attributes.items():
            trial.set_user_attr(key, value)
        if state is not TrialState.RUNNING:
            study.tell(trial, [0.5] if state is TrialState.COMPLETE else None, state=state)
    return study


def fault(study: optuna.Study, define: Define, uri: str = "sqlite:////studies.db") -> str | None:
    return changed_fault(study, uri, made_space(define, FIRST), recipe())


STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL, TrialState.WAITING)
"""Of a point that a search goes on with: also one that it tries again, or that it has not asked for."""


@pytest.mark.parametrize("state", STATES)
def test_a_study_goes_on_where_its_space_is_the_same_wider_or_has_a_parameter_less(
    tmp_path: Path, state: TrialState
) -> None:
    study = begun(tmp_path, state, **{KEY: "a"})
    assert fault(study, BEGUN) is None
    assert fault(study, defined("lam", 0.01, 2.0, "top", "bottom")) is None
    assert fault(study, defined("lam", 0.1, 1.0, "top", "bottom", other=False)) is None


@pytest.mark.parametrize(
    ("define", "reason"),
    [
        (defined("lamb", 0.1, 1.0, "top", "bottom"), "The value of the parameter 'lamb' is not found."),
        (defined("lam", 0.1, 0.4, "top", "bottom"), "The value 0.5 of the parameter 'lam' is out of the range of"),
        (defined("lam", 0.1, 1.0, "bottom"), "'top' not in ('bottom',)"),
    ],
    ids=["renamed", "narrower", "a choice less"],
)
@pytest.mark.parametrize("state", STATES)
def test_a_point_that_the_space_has_no_more_is_refused(
    tmp_path: Path, state: TrialState, define: Define, reason: str
) -> None:
    said = fault(begun(tmp_path, state, **{KEY: "a"}), define)
    assert said is not None
    assert "the space made must be the one that study made/x was begun with" in said
    assert f"but its trial 0 is no point of it now: {reason}" in said


@pytest.mark.parametrize(
    ("define", "reason"),
    [
        (defined("lam", 0.1, 1.0, "top", "bottom", "random"), "its parameter region was CategoricalDistribution"),
        (defined("lam", 0.1, 1.0, "top", "bottom", log=True), "its parameter lam was FloatDistribution"),
    ],
    ids=["a choice more", "log"],
)
def test_a_parameter_that_optuna_would_not_take_is_refused(tmp_path: Path, define: Define, reason: str) -> None:
    study = begun(tmp_path, TrialState.COMPLETE, **{KEY: "a"})
    said = fault(study, define)
    assert said is not None
    assert f"but {reason}" in said
    with pytest.raises(ValueError, match=r"does not support dynamic value space|Cannot set different log"):
        define(study.ask(), recipe())


def without_cheap_form(trial: BaseTrial, own: Recipe) -> RunConfig:
    BEGUN(trial, own)
    raise NoCheapFormError("nothing is left to train")


def test_a_point_that_waits_and_has_no_cheap_form_is_left_to_the_search(tmp_path: Path) -> None:
    assert fault(begun(tmp_path, TrialState.WAITING), without_cheap_form) is None


@pytest.mark.parametrize("state", [state for state in STATES if state is not TrialState.WAITING])
def test_a_point_that_cannot_be_trained_any_more_is_refused(tmp_path: Path, state: TrialState) -> None:
    said = fault(begun(tmp_path, state, **{KEY: "a"}), without_cheap_form)
    assert said is not None
    assert "its trial 0 is no point of it now: nothing is left to train;" in said


def test_points_that_were_proposed_again_or_never_named_are_not_asked_about(tmp_path: Path) -> None:
    study = begun(tmp_path, TrialState.COMPLETE, **{KEY: "a", TWIN: 0})
    BEGUN(study.ask(), recipe())
    assert fault(study, defined("lamb", 0.1, 1.0, "top", "bottom")) is None


def test_what_to_do_is_said_without_a_password(tmp_path: Path) -> None:
    study = begun(tmp_path, TrialState.COMPLETE, **{KEY: "a"})
    said = fault(study, defined("lamb", 0.1, 1.0, "top", "bottom"), "postgresql://me:secret@host/studies")
    assert said is not None
    assert said.endswith(
        "search with the space of then, name another study_uri in the site file, or end this study with `optuna "
        "delete-study --storage postgresql://***@host/studies --study-name made/x`: what it trained stays recorded"
    )


def test_a_study_is_looked_for_without_making_one(tmp_path: Path) -> None:
    uri = database(tmp_path)
    assert held_study(uri, "made/x") is None
    assert list(tmp_path.iterdir()) == []
    begun(tmp_path, TrialState.COMPLETE, **{KEY: "a"})
    assert held_study(uri, "made/y") is None
    assert optuna.get_all_study_names(uri) == ["made/x"]
    study = held_study(uri, "made/x")
    assert study is not None
    assert len(study.trials) == 1


def test_a_database_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadRequest, match="must be reachable and writable"):
        held_study(f"sqlite:///{tmp_path / 'file' / 'studies.db'}", "made/x")
