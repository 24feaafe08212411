"""What a script prints and how it ends, with trainings made up: Ray is not started."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from sweeps.engine import search_training
from sweeps.engine.failures import Failure
from sweeps.engine.job import Job
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.records import RunFolder
from sweeps.engine.search import StudySearcher
from sweeps.engine.site import Site
from sweeps.engine.telling import Telling
from sweeps.engine.tracking import Tracking, TrackingError
from tests.sweeps.made_folder import files, launched, refusals, write_site, write_videos
from tests.sweeps.made_launch import Outcome, succeed, without_ray
from tests.sweeps.made_records import train_record
from tests.sweeps.mlflow_rows import everything


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("home") / "videos")


@pytest.fixture
def site(tmp_path: Path, videos: Path, uri: str) -> Path:
    return write_site(tmp_path, videos, cache=videos.parent / "cache", head=f'tracking_uri = "{uri}"')


def fail(planned: PlannedRun, plan: Plan) -> None:
    planned.folder.write_failure(Failure(traceback="Traceback: the loss is not finite"))


def test_a_table_is_completed_shown_and_not_done_again(
    site: Path, plans: Callable[[Outcome], list[Plan]], uri: str
) -> None:
    seen = plans(succeed)
    first = launched(site)
    assert first.exit_code == 0, first.output
    assert "baseline" in first.output
    assert "50.0 ± " in first.output
    table = site.parent / "output" / "tables" / "made" / "hmdb51-smoke"
    assert str(table / "plot.png") in first.output
    assert (table / "table.csv").is_file()
    before, rows = files(site.parent / "output" / "runs"), everything(uri)
    second = launched(site)
    assert second.exit_code == 0
    assert len(seen) == 1
    assert files(site.parent / "output" / "runs") == before
    assert everything(uri) == rows


def test_a_dry_run_counts_what_is_known_and_starts_nothing(site: Path, plans: Callable[[Outcome], list[Plan]]) -> None:
    plans(succeed)
    before = " ".join(launched(site, "--dry-run").output.split())
    for line in ("cells 2 with seeds", "trainings 2: 0 known, 0 begun; 1 are", "tests 2: 0 known", "to do 24 steps"):
        assert line in before
    assert not (site.parent / "output" / "runs").exists()
    launched(site)
    after = " ".join(launched(site, "--dry-run", "--seeds", "2").output.split())
    for line in ("trainings 3: 2 known", "tests 4: 2 known", "to do 12 steps", "like kind, recorded"):
        assert line in after


def test_fresh_trains_everything_again_beside_the_record(site: Path, plans: Callable[[Outcome], list[Plan]]) -> None:
    seen = plans(succeed)
    launched(site)
    record = files(site.parent / "output" / "runs")
    assert launched(site, "--fresh").exit_code == 0
    assert len(seen[1].todo()) == len(seen[0].todo()) == 2
    after = files(site.parent / "output" / "runs")
    assert {path: after[path] for path in record} == record
    assert len(after) == 2 * len(record)
    assert launched(site).exit_code == 0
    assert len(seen) == 2


def test_failed_runs_stand_in_the_table_and_in_the_exit_code(
    site: Path, plans: Callable[[Outcome], list[Plan]]
) -> None:
    plans(fail)
    result = launched(site)
    assert result.exit_code == 1, result.output
    assert "failed" in result.output
    plans(succeed)
    assert launched(site).exit_code == 0


def test_a_table_that_was_not_completed_is_no_success(site: Path, plans: Callable[[Outcome], list[Plan]]) -> None:
    plans(lambda planned, plan: None)
    assert launched(site).exit_code == 1


def test_ctrl_c_says_how_to_go_on(site: Path, plans: Callable[[Outcome], list[Plan]]) -> None:
    def interrupted(planned: PlannedRun, plan: Plan) -> None:
        raise KeyboardInterrupt

    plans(interrupted)
    result = launched(site)
    assert result.exit_code == 130
    assert "the same command goes on from here" in result.output
    plans(succeed)
    assert launched(site).exit_code == 0


def test_a_tracking_store_that_goes_away_costs_no_number(
    site: Path, plans: Callable[[Outcome], list[Plan]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans(succeed)

    def away(*_: object, **__: object) -> None:
        raise TrackingError("http://nowhere:5000", "connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(Tracking, "record_table", away)
        result = launched(site)
    assert result.exit_code == 1
    assert "50.0 ± " in result.output
    assert "then launch again: results are on disk" in result.output
    assert (site.parent / "output" / "tables" / "made" / "hmdb51-smoke" / "table.csv").is_file()
    assert launched(site).exit_code == 0


def test_a_damaged_record_is_named_and_not_overwritten(site: Path, plans: Callable[[Outcome], list[Plan]]) -> None:
    plans(succeed)
    launched(site)
    path = next((site.parent / "output" / "runs").glob("*/run.json"))
    path.write_text('{"run": ')
    for flags in ((), ("--dry-run",)):
        result = launched(site, *flags)
        assert result.exit_code == 2
        assert str(path.parent) in result.output
        assert "remove the damaged files and launch again" in result.output
    assert path.read_text() == '{"run": '


Trained = Callable[[StudySearcher, str, Mapping[str, Any]], None]
"""Ends a point or a need that a searcher gave out."""


def stop(searcher: StudySearcher, trial_id: str, given: Mapping[str, Any]) -> None:
    if given["judged"]:
        searcher.on_trial_result(trial_id, {"step": 3, "val_accuracy": 0.3})
    else:
        finish(searcher, trial_id, given)
    searcher.on_trial_complete(trial_id, {"failed": False})


def fail_point(searcher: StudySearcher, trial_id: str, given: Mapping[str, Any]) -> None:
    searcher.on_trial_complete(trial_id, {"failed": True})


def finish(searcher: StudySearcher, trial_id: str, given: Mapping[str, Any]) -> None:
    job = Job.model_validate_json(given["job"])
    RunFolder(job.folder).write_record(train_record(job.run))


def finish_point(searcher: StudySearcher, trial_id: str, given: Mapping[str, Any]) -> None:
    finish(searcher, trial_id, given)
    searcher.on_trial_complete(trial_id, {"failed": False})


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trained], None]:
    """Replaces Ray in searches."""

    def replace(trained: Trained) -> None:
        def fitted(searcher: StudySearcher, *_: object, **__: object) -> None:
            for i in range(10):
                given = searcher.suggest(str(i))
                if not isinstance(given, dict):
                    break
                trained(searcher, str(i), given)

        monkeypatch.setattr(search_training, "ray_session", without_ray)
        monkeypatch.setattr(search_training, "fit", fitted)

    return replace


def test_a_search_whose_points_are_there_is_shown(site: Path, searched: Callable[[Trained], None]) -> None:
    searched(stop)
    result = launched(site, "--search", "2", "--finals", "0")
    assert result.exit_code == 0, result.output
    assert "0 finished, 2 stopped early" in result.output
    assert "Finals" not in result.output
    again = launched(site, "--search", "+1", "--finals", "0")
    assert "the study now asks for 3 points; --search 3 goes on" in again.output
    assert "3 stopped early" in again.output


def test_a_search_with_gaps_is_no_success(site: Path, searched: Callable[[Trained], None]) -> None:
    searched(fail_point)
    result = launched(site, "--search", "2")
    assert result.exit_code == 1, result.output
    assert "0 finished" in result.output


def test_the_best_points_of_a_search_meet_the_papers_setting_in_finals(
    site: Path, searched: Callable[[Trained], None], plans: Callable[[Outcome], list[Plan]]
) -> None:
    seen = plans(succeed)
    searched(finish_point)
    result = launched(site, "--search", "3", "--no-path")
    assert result.exit_code == 0, result.output
    assert "3 finished" in result.output
    assert "paper's setting" in result.output
    (finals,) = seen
    assert {run.run.seed for run in finals.todo()} >= {1, 2}
    page = next((site.parent / "output" / "searches").glob("made/*/page.md")).read_text()
    assert "#### Finals" in page
    assert launched(site, "--search", "3", "--no-path").exit_code == 0
    assert len(seen) == 1, "what is recorded is not planned again"


def test_a_second_driver_of_a_study_is_refused(site: Path, searched: Callable[[Trained], None]) -> None:
    inner: list[Result] = []

    def another(searcher: StudySearcher, trial_id: str, given: Mapping[str, Any]) -> None:
        if not inner:
            inner.append(launched(site, "--search", "2", "--finals", "0"))
        stop(searcher, trial_id, given)

    searched(another)
    assert launched(site, "--search", "2", "--finals", "0").exit_code == 0
    (refused,) = inner
    assert refused.exit_code == 2
    assert "another driver runs" in refused.output


def test_searches_with_different_costs_that_share_a_cheap_study_exclude_each_other(
    site: Path, searched: Callable[[Trained], None]
) -> None:
    inner: list[Result] = []
    flags = ("--search", "1", "--finals", "0", "--cheap-first", "1")

    def another(searcher: StudySearcher, trial_id: str, given: Mapping[str, Any]) -> None:
        if not inner:
            inner.append(launched(site, *flags, "--cost", "gflops"))
        finish_point(searcher, trial_id, given)

    searched(another)
    assert launched(site, *flags).exit_code == 0
    (refused,) = inner
    assert refused.exit_code == 2
    assert "another driver runs" in refused.output


def test_no_cheap_point_is_stopped_and_the_best_third_goes_in_front_of_the_study(
    site: Path, searched: Callable[[Trained], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(finish_point)
    inner, stopping = search_training.fit, list[bool]()

    def fitted(searcher: StudySearcher, own: Site, telling: Telling, scheduler: object, *, ahead: int) -> None:
        stopping.append(scheduler is not None)
        inner(searcher, own, telling, ahead=ahead)

    monkeypatch.setattr(search_training, "fit", fitted)
    result = launched(site, "--search", "3", "--finals", "0", "--cheap-first", "4")
    assert result.exit_code == 0, result.output
    words = "with a frozen backbone 4 of 4 points came to their end; in front of the study go 1 of them"
    assert words in " ".join(result.output.split()), "of the two best one is the paper's setting, which is there"
    assert stopping == [False, True]
    again = launched(site, "--search", "4", "--finals", "0", "--cheap-first", "5", "--stopping")
    assert "in front of the study go 0 of them" in " ".join(again.output.split())
    assert stopping[2:] == [True, True]


def test_fresh_and_a_search_exclude_each_other(site: Path) -> None:
    (fault,) = refusals(launched(site, "--search", "2", "--fresh"))
    assert fault.startswith("--fresh repeats the trainings of a table")


def test_a_dry_run_of_a_search_says_what_it_takes_and_starts_nothing(site: Path) -> None:
    output = " ".join(launched(site, "--search", "7", "--dry-run").output.split())
    for words in ("points 7, of which 0 are in the study", "at most 7 of 12 steps", "finals at most"):
        assert words in output
    assert not (site.parent / "output" / "runs").exists()


def test_the_command_line_needs_no_ray_before_it_trains() -> None:
    code = "import sys, sweeps.engine.cli as c, sweeps.engine.sweep; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_names_every_flag() -> None:
    output = launched("laptop", "--help").output
    for flag in ("--site", "--dataset", "--preset", "--seeds", "--search", "--dry-run", "--fresh"):
        assert flag in output
