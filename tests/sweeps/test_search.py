"""A study and its points: counted once, taken up again, told what became of them. Trainings are made up."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FrozenTrial, TrialState
from ray.tune.search import Searcher

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from sweeps.engine.failures import failure_of
from sweeps.engine.job import Job
from sweeps.engine.records import Store
from sweeps.engine.search import StudySearcher
from sweeps.engine.search_study import AGAIN, KEY, LOOKS, RECORDED, TWIN, counted, finished, open_study
from tests.fsar_core.tiny import recipe
from tests.sweeps.made_plans import FIRST, made_site
from tests.sweeps.made_records import ORIGIN, PRINTS, TRAIN, run_config, write_run
from tests.sweeps.made_search import coarse, dependent, finish, made_space, plain, single, states

Make = Callable[..., StudySearcher]


class Insisting(optuna.samplers.RandomSampler):
    """Proposes one point for ever."""

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> float:
        return 0.1


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.fixture
def make(study: optuna.Study, store: Store, tmp_path: Path) -> Make:
    def made(budget: int, define: Callable[[BaseTrial, Recipe], RunConfig] = plain) -> StudySearcher:
        return StudySearcher(study, made_space(define), recipe(), budget, store, made_site(tmp_path), PRINTS, ORIGIN)

    return made


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


def test_recorded_runs_are_told_at_once_and_take_nothing_from_the_budget(
    make: Make, study: optuna.Study, store: Store
) -> None:
    for lam in (0.1, 0.2):
        write_run(store, run_config(lam))
        study.enqueue_trial({"lam": lam})
    searcher = make(1, coarse)
    given = searcher.suggest("a")
    assert given["key"] == store.key(run_config(0.3), TRAIN)
    assert searcher.suggest("b") == Searcher.FINISHED
    finish(searcher, store, "a", given)
    assert len(counted(study)) == 1
    assert len(finished(study)) == 3
    assert {t.params["lam"]: t.user_attrs.get(RECORDED) for t in finished(study)} == {0.1: True, 0.2: True, 0.3: None}


def test_a_point_that_ended_after_its_driver_was_killed_counts(make: Make, study: optuna.Study, store: Store) -> None:
    given = make(1).suggest("a")
    write_run(store, Job.model_validate_json(given["job"]).run)
    assert make(1).suggest("a") == Searcher.FINISHED
    assert [trial.state for trial in counted(study)] == [TrialState.COMPLETE]


def test_many_recorded_points_do_not_look_like_an_exhausted_space(
    make: Make, study: optuna.Study, store: Store
) -> None:
    for i in range(300):
        write_run(store, run_config(0.1 + i / 1000))
        study.enqueue_trial({"lam": 0.1 + i / 1000})
    searcher = make(1)
    assert searcher.suggest("a")["judged"]
    assert not searcher.exhausted
    assert len(finished(study)) == 300


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


def test_a_failed_point_is_tried_again_by_the_next_launch_only(make: Make, study: optuna.Study, store: Store) -> None:
    searcher = make(2, single)
    assert searcher.suggest("a")["key"] == store.key(run_config(0.1), TRAIN)
    searcher.on_trial_complete("a", None, error=True)
    assert searcher.suggest("b") == Searcher.FINISHED
    again = make(2, single)
    assert make(2, single).held_back == 0  # a driver that was killed before it asked leaves one to be tried again
    assert again.suggest("a")["key"] == store.key(run_config(0.1), TRAIN)
    assert again.tried_again == 1
    assert [trial.user_attrs[AGAIN] for trial in study.trials if AGAIN in trial.user_attrs] == [0]


def test_a_failed_point_is_tried_again_before_new_ones(make: Make, study: optuna.Study, store: Store) -> None:
    first = make(2)
    failed = first.suggest("a")["key"]
    first.on_trial_complete("a", {"failed": True})
    finish(first, store, "b", first.suggest("b"))
    again = make(3)
    assert [again.suggest(trial_id)["key"] == failed for trial_id in "cd"] == [True, False]
    assert study.trials[2].params == study.trials[0].params


def test_a_point_that_failed_twice_as_a_bug_of_this_code_is_left_alone(
    make: Make, study: optuna.Study, store: Store
) -> None:
    first = make(1)
    key = first.suggest("a")["key"]
    for _ in range(2):
        store.folder_of(key).write_failure(failure_of(ZeroDivisionError(), git_commit=ORIGIN.git_commit))
    first.on_trial_complete("a", {"failed": True})
    searcher = make(1)
    assert (searcher.held_back, searcher.tried_again) == (1, 0)
    assert searcher.suggest("a")["key"] != key


def test_a_stopped_point_is_told_as_pruned_with_its_looks(make: Make, study: optuna.Study) -> None:
    searcher = make(1)
    searcher.suggest("a")
    searcher.on_trial_result("a", {"step": 1})
    searcher.on_trial_result("a", {"step": 100, "val_accuracy": 0.3})
    searcher.on_trial_complete("a", {"failed": False, "step": 200, "val_accuracy": 0.25})
    (trial,) = study.trials
    assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, {100: 0.3, 200: 0.25})


def test_two_objectives_are_told_and_looks_are_kept(tmp_path: Path, store: Store) -> None:
    study = open_study("sqlite:///:memory:", "s", made_space(), "motionshapes", cost="gflops")
    site = made_site(tmp_path)
    searcher = StudySearcher(study, made_space(), recipe(), 2, store, site, PRINTS, ORIGIN, cost=lambda _: 7.0)
    finish(searcher, store, "a", searcher.suggest("a"))
    searcher.suggest("b")
    searcher.on_trial_result("b", {"step": 100, "val_accuracy": 0.3})
    searcher.on_trial_complete("b", {"failed": False, "step": 200, "val_accuracy": 0.25})
    best, pruned = study.trials
    assert best.values == [0.45, 7.0]
    assert (pruned.state, pruned.user_attrs[LOOKS]) == (TrialState.PRUNED, {"100": 0.3, "200": 0.25})


def test_a_run_that_comes_past_a_look_again_reports_it_once(make: Make, study: optuna.Study) -> None:
    first = make(1)
    first.suggest("a")
    first.on_trial_result("a", {"step": 100, "val_accuracy": 0.3})
    second = make(1)
    second.suggest("a")
    second.on_trial_result("a", {"step": 100, "val_accuracy": 0.3})
    second.on_trial_complete("a", {"failed": False, "step": 100, "val_accuracy": 0.3})
    assert study.trials[0].intermediate_values == {100: 0.3}


def test_a_sampler_that_insists_on_a_known_point_gives_way_to_random_draws(
    make: Make, study: optuna.Study, store: Store
) -> None:
    study.sampler = Insisting(seed=0)
    searcher = make(3, coarse)
    for i in range(3):
        finish(searcher, store, str(i), searcher.suggest(str(i)))
    assert searcher.at_random == 2
    assert {trial.params["lam"] for trial in finished(study)} == {0.1, 0.2, 0.3}
    assert isinstance(study.sampler, Insisting)
