"""Ray kills a worker for memory, and Tune ends with it: what is launched again, and what fails."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.exceptions
from ray import tune

from fsar_core.memory import give_back
from sweeps.engine import launch
from sweeps.engine.failures import KilledForMemoryError
from sweeps.engine.launch import fit, run_plan
from sweeps.engine.plan import Plan, PlannedRun, make_plan
from sweeps.engine.plan_searcher import PlanSearcher
from sweeps.engine.records import Store
from sweeps.engine.retry import after_kill
from sweeps.engine.telling import Telling, Watcher
from tests.sweeps.made_plans import FIRST, Heard, made_job, made_site, needing
from tests.sweeps.made_records import ORIGIN, PRINTS, run_config, write_run

TOLD = "1 worker(s) were killed due to the node running low on memory"


@pytest.fixture
def plan(store: Store) -> Plan:
    """Three runs; the second needs the first."""
    return make_plan([(needing(run_config(0.1), FIRST), None), (run_config(0.2), None)], store, PRINTS)


def tuner(cause: BaseException) -> Any:
    def failing() -> None:
        raise RuntimeError("Caught unexpected exception") from cause

    def made(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(fit=failing)

    return made


def started(planned: PlannedRun) -> Any:
    """A trial of Tune's that is at work."""
    job = made_job(planned.folder.path, planned.run)
    return SimpleNamespace(config=job.given(planned.key, judged=False), last_result={})


def test_a_kill_for_memory_is_told_with_the_runs_at_work(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "Tuner", tuner(ray.exceptions.OutOfMemoryError(TOLD)))
    made = Telling.__init__

    def begun(self: Telling, watcher: Watcher) -> None:
        made(self, watcher)
        own = [started(planned) for planned in plan.runs]
        for trial in own:
            self.on_trial_start(1, own, trial)
        self.on_trial_complete(1, own, own[0])

    monkeypatch.setattr(Telling, "__init__", begun)
    with pytest.raises(KilledForMemoryError, match=r"low on memory; give runs more") as killed:
        run_plan(plan, made_site(tmp_path), ORIGIN, Heard())
    assert killed.value.at_work == tuple(planned.key for planned in plan.runs[1:])


def test_other_errors_of_tune_stay_as_they_are(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.tune, "Tuner", tuner(ValueError("something else")))
    searcher = PlanSearcher({}, {}, Heard())
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        fit(searcher, made_site(tmp_path), Telling(Heard()))


def test_what_was_at_work_is_launched_again_and_what_is_done_is_not(plan: Plan, store: Store) -> None:
    first, second, alone = plan.runs
    write_run(store, first.run)
    now = make_plan([(planned.run, None) for planned in (second, alone)], store, PRINTS)
    again = after_kill(plan, now, {second.key: 1}, TOLD, most=1)
    assert {planned.key for planned in again.todo()} == {second.key, alone.key}
    assert second.folder.failure() is None


def test_a_run_at_work_at_too_many_kills_fails_with_those_that_wait_for_it(plan: Plan) -> None:
    first, second, alone = plan.runs
    again = after_kill(plan, plan, {first.key: 2}, TOLD, most=1)
    assert [planned.key for planned in again.runs] == [alone.key]
    failures = [planned.folder.failure() for planned in (first, second, alone)]
    assert [failure and failure.kind for failure in failures] == ["oom", "needs", None]


def test_memory_is_given_back_without_harm() -> None:
    give_back()
