"""A study and its points: counted once, taken up again, told what became of them. Trainings are made up."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import BaseTrial, TrialState
from ray.tune.search import Searcher
from rich.console import Console

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine.job import Job
from sweeps.engine.records import Store
from sweeps.engine.search import KEY, TWIN, StudySearcher, counted, open_study
from sweeps.engine.search_run import show
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_search import ranking, record_search
from tests.fsar_core.tiny import recipe
from tests.sweeps.made_plans import FIRST, made_site, needing
from tests.sweeps.made_records import ORIGIN, PRINTS, TRAIN, run_config, write_run
from tests.sweeps.mlflow_rows import everything, runs

Make = Callable[..., StudySearcher]


def plain(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_float("lam", 0.1, 1.0))


def coarse(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_categorical("lam", [0.1, 0.2, 0.3]))


def single(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_categorical("lam", [0.1]))


def dependent(trial: BaseTrial, own: Recipe) -> RunConfig:
    return needing(plain(trial, own), FIRST)


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.fixture
def make(study: optuna.Study, store: Store, tmp_path: Path) -> Make:
    def made(budget: int, define: Callable[[BaseTrial, Recipe], RunConfig] = plain) -> StudySearcher:
        space = Space(name="made", define=define)
        return StudySearcher(study, space, recipe(), budget, store, made_site(tmp_path), PRINTS, ORIGIN)

    return made


def finish(searcher: StudySearcher, store: Store, trial_id: str, given: dict[str, Any]) -> None:
    """As if the run had been trained to its end."""
    write_run(store, Job.model_validate_json(given["job"]).run)
    searcher.on_trial_complete(trial_id, {"failed": False})


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def test_a_search_ends_when_the_study_holds_its_budget(make: Make, study: optuna.Study, store: Store) -> None:
    searcher = make(2)
    for i in range(2):
        given = searcher.suggest(str(i))
        assert given["judged"] is True
        finish(searcher, store, str(i), given)
    assert searcher.suggest("2") == Searcher.FINISHED
    assert states(study) == ["COMPLETE", "COMPLETE"]
    assert [trial.value for trial in study.trials] == [0.45, 0.45]


def test_points_at_work_count_against_the_budget(make: Make) -> None:
    searcher = make(2)
    assert searcher.suggest("a")["key"] != searcher.suggest("b")["key"]
    assert searcher.suggest("c") == Searcher.FINISHED


def test_a_larger_budget_continues_the_study(make: Make, study: optuna.Study, store: Store) -> None:
    first = make(1)
    finish(first, store, "a", first.suggest("a"))
    second = make(3)
    for trial_id in ("b", "c"):
        finish(second, store, trial_id, second.suggest(trial_id))
    assert second.suggest("d") == Searcher.FINISHED
    assert len({trial.user_attrs[KEY] for trial in study.trials}) == 3


def test_points_of_a_killed_driver_are_taken_up_first_with_their_values(make: Make, study: optuna.Study) -> None:
    given = [make(2).suggest("a"), make(2).suggest("a")]
    assert given[0]["key"] == given[1]["key"]
    assert states(study) == ["RUNNING"]
    study.ask()  # a driver that was killed before it had named the point
    third = make(2)
    again = [third.suggest("a"), third.suggest("b")]
    assert again[0]["key"] == given[0]["key"]
    assert third.suggest("c") == Searcher.FINISHED
    assert [trial.user_attrs[KEY] for trial in study.trials] == [point["key"] for point in again]


def test_a_point_that_is_proposed_again_is_not_trained_again(make: Make, study: optuna.Study, store: Store) -> None:
    searcher = make(3, coarse)
    keys: list[str] = []
    for i in range(3):
        given = searcher.suggest(str(i))
        keys.append(given["key"])
        finish(searcher, store, str(i), given)
    assert searcher.suggest("end") == Searcher.FINISHED
    assert len(set(keys)) == 3
    twins = [trial for trial in study.trials if TWIN in trial.user_attrs]
    assert twins, "the seed of this test must propose a point twice"
    assert all(twin.value == 0.45 for twin in twins)
    assert len(counted(study)) == 3


def test_a_space_without_new_points_ends_the_search(make: Make, study: optuna.Study, store: Store) -> None:
    searcher = make(5, coarse)
    for i in range(3):
        finish(searcher, store, str(i), searcher.suggest(str(i)))
    assert searcher.suggest("end") == Searcher.FINISHED
    assert searcher.exhausted
    assert len(counted(study)) == 3


def test_a_recorded_run_is_told_at_once(make: Make, study: optuna.Study, store: Store) -> None:
    for lam in (0.1, 0.2):
        write_run(store, run_config(lam))
    searcher = make(3, coarse)
    assert searcher.suggest("a")["key"] == store.key(run_config(0.3), TRAIN)
    assert searcher.suggest("b") == Searcher.FINISHED
    assert sorted(trial.state.name for trial in counted(study)) == ["COMPLETE", "COMPLETE", "RUNNING"]


def test_what_a_point_needs_is_trained_first_and_once(make: Make, store: Store) -> None:
    searcher = make(3, dependent)
    need = searcher.suggest("need")
    assert (need["key"], need["judged"]) == (store.key(FIRST, TRAIN), False)
    assert searcher.suggest("a") is None
    finish(searcher, store, "need", need)
    assert all(searcher.suggest(trial_id)["judged"] for trial_id in "abc")
    assert searcher.suggest("d") == Searcher.FINISHED


def test_points_whose_need_failed_are_told_failed_and_the_search_ends(make: Make, study: optuna.Study) -> None:
    searcher = make(6, dependent)
    searcher.suggest("need")
    searcher.on_trial_complete("need", {"failed": True})
    assert searcher.suggest("a") == Searcher.FINISHED
    assert states(study) == ["FAIL"] * 6
    assert not searcher.exhausted


def test_a_search_whose_points_all_fail_ends_with_its_budget(make: Make, study: optuna.Study) -> None:
    searcher = make(3)
    for i in range(3):
        assert isinstance(searcher.suggest(str(i)), dict)
        searcher.on_trial_complete(str(i), {"failed": True})
    assert searcher.suggest("end") == Searcher.FINISHED
    assert states(study) == ["FAIL"] * 3


def test_a_failed_point_is_tried_again_by_the_next_launch_only(make: Make, store: Store) -> None:
    searcher = make(2, single)
    assert searcher.suggest("a")["key"] == store.key(run_config(0.1), TRAIN)
    searcher.on_trial_complete("a", None, error=True)
    assert searcher.suggest("b") == Searcher.FINISHED
    assert not searcher.exhausted
    again = make(2, single)
    assert again.suggest("a")["key"] == store.key(run_config(0.1), TRAIN)


def test_a_stopped_point_is_told_as_pruned_with_its_looks(make: Make, study: optuna.Study) -> None:
    searcher = make(1)
    searcher.suggest("a")
    searcher.on_trial_result("a", {"step": 1})
    searcher.on_trial_result("a", {"step": 100, "val_accuracy": 0.3})
    searcher.on_trial_complete("a", {"failed": False, "step": 200, "val_accuracy": 0.25})
    (trial,) = study.trials
    assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, {100: 0.3, 200: 0.25})


def test_the_papers_points_stand_in_front_and_are_enqueued_once(tmp_path: Path, store: Store) -> None:
    space = Space(name="made", define=plain, first=({"lam": 0.5}, {"lam": 0.75}))
    uri = f"sqlite:///{tmp_path / 'studies.db'}"
    open_study(uri, "s", space)
    study = open_study(uri, "s", space)
    searcher = StudySearcher(study, space, recipe(), 3, store, made_site(tmp_path), PRINTS, ORIGIN)
    keys = [searcher.suggest(trial_id)["key"] for trial_id in "abc"]
    assert keys[:2] == [store.key(run_config(lam), TRAIN) for lam in (0.5, 0.75)]
    assert keys[2] not in keys[:2]


def test_a_study_in_a_database_is_continued_by_another_process(tmp_path: Path, store: Store) -> None:
    space, uri = Space(name="made", define=plain), f"sqlite:///{tmp_path / 'studies.db'}"
    site = made_site(tmp_path)
    first = StudySearcher(open_study(uri, "s", space), space, recipe(), 1, store, site, PRINTS, ORIGIN)
    key = first.suggest("a")["key"]
    second = StudySearcher(open_study(uri, "s", space), space, recipe(), 1, store, site, PRINTS, ORIGIN)
    given = second.suggest("b")
    assert given["key"] == key
    finish(second, store, "b", given)
    assert [trial.state for trial in open_study(uri, "s", space).trials] == [TrialState.COMPLETE]


def test_the_ranking_marks_points_that_were_stopped(make: Make, study: optuna.Study, store: Store) -> None:
    searcher = make(2)
    finish(searcher, store, "a", searcher.suggest("a"))
    searcher.suggest("b")
    searcher.on_trial_result("b", {"step": 100, "val_accuracy": 0.9})
    searcher.on_trial_complete("b", {"failed": False})
    console = Console(width=140, record=True, file=io.StringIO())
    show(study, console)
    lines = [line for line in console.export_text().splitlines() if "│" in line]
    assert "45.0 " in lines[0]
    assert "90.0 stopped at step 100" in lines[1]


def test_logging_a_study_twice_is_logging_it_once(make: Make, study: optuna.Study, store: Store, uri: str) -> None:
    searcher = make(3)
    finish(searcher, store, "a", searcher.suggest("a"))
    searcher.suggest("b")
    searcher.on_trial_result("b", {"step": 100, "val_accuracy": 0.9})
    searcher.on_trial_complete("b", {"failed": False})
    searcher.suggest("c")
    parent = record_search(Tracking(uri), "made", study, "hmdb51")
    rows = everything(uri)
    assert record_search(Tracking(uri), "made", study, "hmdb51") == parent
    assert everything(uri) == rows
    trials = {run.info.run_name: run for run in runs(uri, "search/made") if run.info.run_id != parent}
    assert {name: run.info.status for name, run in trials.items()} == {"trial 0": "FINISHED", "trial 1": "KILLED"}
    assert trials["trial 0"].data.metrics == {"val/best": 0.45}
    assert trials["trial 1"].data.metrics == {"val/accuracy": 0.9}
    lines = ranking(study).splitlines()
    assert lines[2].startswith("| 0 | 45.0 | ")
    assert lines[3].startswith("| 1 | 90.0 stopped at step 100 | ")
    assert lines[4].startswith("| 2 | 0.0 so far at step 0 | ")


def test_a_point_that_ends_later_is_added_to_a_logged_study(
    make: Make, study: optuna.Study, store: Store, uri: str
) -> None:
    searcher = make(2)
    finish(searcher, store, "a", searcher.suggest("a"))
    late = searcher.suggest("b")
    parent = record_search(Tracking(uri), "made", study, "hmdb51")
    finish(searcher, store, "b", late)
    assert record_search(Tracking(uri), "made", study, "hmdb51") == parent
    assert sorted(run.info.run_name or "" for run in runs(uri, "search/made") if run.info.run_id != parent) == [
        "trial 0",
        "trial 1",
    ]
