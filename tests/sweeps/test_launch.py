"""The order in which Tune gets the runs of a plan, and what becomes of failures. Ray itself is not started."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from sweeps.engine import launch
from sweeps.engine.job import Job, Tell
from sweeps.engine.launch import fit, jobs_of, ray_session, trainable
from sweeps.engine.plan import make_plan
from sweeps.engine.plan_searcher import PlanSearcher
from sweeps.engine.records import Point, RunFolder, Store
from sweeps.engine.site import BadRequest
from sweeps.engine.telling import Telling
from tests.sweeps.made_clock import Clock
from tests.sweeps.made_plans import FIRST, Heard, made_cell, made_job, made_site, needing
from tests.sweeps.made_records import ORIGIN, PRINTS, TRAIN, run_config, write_run

NEEDS = {"first": (), "second": ("first",), "third": ("second",), "alone": ()}
LAMS = {"first": 0.1, "second": 0.2, "third": 0.3, "alone": 0.4}


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def searcher(tmp_path: Path, heard: Heard) -> PlanSearcher:
    jobs = {key: made_job(tmp_path, run_config(LAMS[key])) for key in NEEDS}
    return PlanSearcher(jobs, NEEDS, heard)


def folder(tmp_path: Path, key: str) -> RunFolder:
    return RunFolder(tmp_path / run_config(LAMS[key]).run_id())


def test_a_run_is_given_out_once_its_needs_are_done(searcher: PlanSearcher) -> None:
    assert searcher.suggest("a")["key"] == "first"
    assert searcher.suggest("b")["key"] == "alone"
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("a", {"failed": False})
    assert searcher.suggest("c")["key"] == "second"
    assert searcher.suggest("d") is None
    searcher.on_trial_complete("b", {"failed": False})
    assert searcher.suggest("d") is None
    searcher.on_trial_complete("c", {"failed": False})
    assert searcher.suggest("d")["key"] == "third"
    assert searcher.suggest("e") == Searcher.FINISHED


def test_a_worker_gets_its_whole_job_and_is_not_judged(searcher: PlanSearcher, tmp_path: Path) -> None:
    given = searcher.suggest("a")
    assert Job.model_validate_json(given["job"]) == made_job(tmp_path, run_config(LAMS["first"]))
    assert given["judged"] is False


@pytest.mark.parametrize(
    ("result", "error"), [({"failed": True}, False), ({"failed": False}, True), (None, False)], ids=str
)
def test_what_needs_a_failed_run_is_not_started_and_says_why(
    searcher: PlanSearcher, heard: Heard, tmp_path: Path, result: dict[str, Any] | None, error: bool
) -> None:
    searcher.suggest("a")
    searcher.on_trial_complete("a", result, error)
    assert searcher.suggest("b")["key"] == "alone"
    assert searcher.suggest("c") == Searcher.FINISHED
    assert heard.ended == [("second", True), ("third", True)]
    second, third = (folder(tmp_path, key).failure() for key in ("second", "third"))
    assert second is not None
    assert third is not None
    assert (second.kind, second.needs, second.attempts) == ("needs", ("first",), 0)
    assert third.traceback == "not started: it needs ['second'], which failed"
    assert folder(tmp_path, "alone").failure() is None


def test_a_job_knows_where_the_weights_lie_that_it_needs(store: Store, tmp_path: Path) -> None:
    cell = made_cell("a", needing(run_config(), FIRST))
    write_run(store, FIRST)
    plan = make_plan([(cell.run, cell.evaluation)], store, PRINTS)
    (job,) = jobs_of(plan, made_site(tmp_path), ORIGIN).values()
    assert job.needs == {"backbone": store.folder(FIRST, TRAIN).path}
    assert job.missing == (cell.evaluation,)
    assert job.folder == store.folder(cell.run, TRAIN).path


def test_an_error_of_the_run_is_told_but_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(tune, "report", told.append)

    def broken(_: Job, tell: Tell, node: str | None) -> None:
        raise ValueError("a bug in a loss")

    monkeypatch.setattr(launch, "carry_out", broken)
    job = made_job(tmp_path)
    trainable({"job": job.model_dump_json(), "judged": False})
    assert told == [{"step": 0, "points": [], "failed": True}]


@pytest.mark.parametrize("judged", [True, False])
def test_only_points_of_a_search_are_judged_by_their_last_look_at_val(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: bool
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(tune, "report", told.append)
    looks = [Point(step=i, time_ms=i, metrics={"val/accuracy": i / 10}) for i in (2, 4)]

    def carried_out(_: Job, tell: Tell, node: str | None) -> None:
        tell(1, [Point(step=1, time_ms=0, metrics={"train/loss": 1.0})])
        tell(4, looks)

    monkeypatch.setattr(launch, "carry_out", carried_out)
    trainable({"job": made_job(tmp_path).model_dump_json(), "judged": judged})
    assert [report.get("val_accuracy") for report in told] == ([None, 0.4] if judged else [None, None])
    assert [Point.model_validate(point) for point in told[1]["points"]] == looks


@pytest.mark.parametrize(("cpus", "steps"), [(2, [1, 2, 3, 4, 6]), (1000, [1, 3, 4, 6])])
def test_runs_of_a_large_cluster_tell_of_mere_steps_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: int, steps: list[int]
) -> None:
    told, clock = list[dict[str, Any]](), Clock()
    monkeypatch.setattr(tune, "report", told.append)
    monkeypatch.setattr(launch, "time", clock)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": float(cpus)})
    monkeypatch.setattr(launch, "_node", lambda: None)
    job = made_job(tmp_path, run_config(steps=6))
    look = Point(step=3, time_ms=3, metrics={"val/accuracy": 0.3})

    def carried_out(_: Job, tell: Tell, node: str | None) -> None:
        for step, seconds, points in ((1, 1, []), (2, 1, []), (3, 1, [look]), (4, 30, []), (6, 1, [])):
            clock.now += seconds
            tell(step, points)

    monkeypatch.setattr(launch, "carry_out", carried_out)
    trainable({"job": job.model_dump_json(), "judged": False})
    assert [report["step"] for report in told] == steps


def made_trial(job: Job, status: str = Trial.TERMINATED, error_file: str | None = None, **last: Any) -> Any:
    return SimpleNamespace(
        config={"job": job.model_dump_json(), "key": "k"}, status=status, last_result=last, error_file=error_file
    )


def test_the_watcher_hears_of_start_steps_and_end(tmp_path: Path, heard: Heard) -> None:
    telling, trial = Telling(heard), made_trial(made_job(tmp_path), failed=False)
    telling.on_trial_start(0, [], trial)
    telling.on_trial_result(0, [], trial, {"step": 4, "points": [], "failed": False})
    telling.on_trial_result(0, [], trial, {"step": 0, "points": [], "failed": True})
    telling.on_trial_complete(0, [], trial)
    assert (heard.begun, heard.steps, heard.ended) == ([("k", 0)], [("k", 4)], [("k", False)])


def test_a_failed_run_is_told_as_failed(tmp_path: Path, heard: Heard) -> None:
    Telling(heard).on_trial_complete(0, [], made_trial(made_job(tmp_path), failed=True))
    assert heard.ended == [("k", True)]


def test_a_worker_that_died_too_often_is_a_failure_but_one_that_is_restarted_is_not(
    tmp_path: Path, heard: Heard
) -> None:
    job, telling = made_job(tmp_path), Telling(heard)
    telling.on_trial_error(0, [], made_trial(job, Trial.PENDING))
    assert heard.ended == []
    assert RunFolder(job.folder).failure() is None
    telling.on_trial_error(0, [], made_trial(job, Trial.ERROR, hostname="node-3", step=4))
    assert heard.ended == [("k", True)]
    failure = RunFolder(job.folder).failure()
    assert failure is not None
    assert failure.reason() == "its worker died more often than the site's retries allow"
    assert (failure.kind, failure.host, failure.step) == ("preempted", "node-3", 4)
    assert failure.git_commit == ORIGIN.git_commit


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("The actor died unexpectedly. (1) The process is killed by SIGKILL by OOM killer", "preempted"),
        ("Task was killed due to the node running low on memory.\nMemory on the node ...", "oom"),
        ("ray::f()\nTraceback (most recent call last):\n  File 'x'\nValueError: no such field", "bug"),
    ],
)
def test_only_the_last_death_of_a_worker_says_of_which_kind_the_failure_is(
    tmp_path: Path, heard: Heard, last: str, kind: str
) -> None:
    error = tmp_path / "error.txt"
    first = "Failure # 1 (occurred at 2026-01-01)\nMemoryError\n"
    error.write_text(f"{first}Failure # 2 (occurred at 2026-01-02)\n{last}\n")
    job = made_job(tmp_path)
    Telling(heard).on_trial_error(0, [], made_trial(job, Trial.ERROR, str(error)))
    failure = RunFolder(job.folder).failure()
    assert failure is not None
    assert failure.kind == kind
    assert failure.traceback.endswith(last)
    assert "# 1" not in failure.traceback


def test_what_tune_writes_of_searcher_and_callback_holds_no_connection(searcher: PlanSearcher, heard: Heard) -> None:
    assert searcher.__getstate__() == {}
    assert Telling(heard).__getstate__() == {}


def test_ray_is_quiet_and_leaves_ctrl_c_to_the_driver() -> None:
    assert os.environ["TUNE_DISABLE_SIGINT_HANDLER"] == "1"
    assert os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] == "1"


def test_a_run_that_does_not_fit_this_machine_is_refused_instead_of_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = made_site(tmp_path).model_copy(update={"cpus_per_run": 8.0, "gpus_per_run": 0.5})
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", dict)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(BadRequest) as refusal, ray_session(site):
        pass
    assert [fault.split(";")[0] for fault in refusal.value.faults] == [
        "the site gives each run 8 CPU, this machine has 2",
        "the site gives each run 0.5 GPU, this machine has 0",
    ]


@pytest.mark.parametrize(
    ("cluster", "runs", "own", "told"),
    [("local", 30, None, None), ("auto", 30, None, "30"), ("auto", 9999, None, "200"), ("auto", 30, "7", "7")],
)
def test_a_cluster_is_asked_for_as_many_runs_as_are_there_to_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str, runs: int, own: str | None, told: str | None
) -> None:
    name, seen = "TUNE_MAX_PENDING_TRIALS_PG", list[str | None]()
    monkeypatch.delenv(name, raising=False)
    if own:
        monkeypatch.setenv(name, own)

    def made(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(fit=lambda: seen.append(os.environ.get(name)))

    monkeypatch.setattr(tune, "Tuner", made)
    site = made_site(tmp_path).model_copy(update={"ray": cluster})
    fit(PlanSearcher({}, {}, Heard()), site, Telling(Heard()), ahead=runs)
    assert seen == [told]
    assert os.environ.get(name) == own
