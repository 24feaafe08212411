"""``fsar schedule run`` with trainings made up: once per slot, apart from the record where it is fresh."""

import re
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from mlflow import MlflowClient

from sweeps.engine import artifacts
from sweeps.engine.failures import Failure
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.records import Store
from sweeps.engine.reruns import Rerun, rerun_folder, reruns, slot_moment, slot_of
from sweeps.engine.results import TableResult
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_cron import read_cron
from sweeps.engine.schedules_seeds import FIRST_SLOT, seeds_of
from sweeps.engine.schedules_slots import left_out, mark_begun, mark_left_out, schedule_held, slot_held, slots, state
from sweeps.engine.site import Site, load_site
from tests.sweeps.made_folder import files, refusals, write_videos
from tests.sweeps.made_launch import Outcome, succeed
from tests.sweeps.made_schedules import SLOTS, schedule, write_schedules
from tests.sweeps.mlflow_rows import everything

Plans = Callable[[Outcome], list[Plan]]
RUNS = 8
CELLS = 6


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("home") / "videos", counts={"train": 9, "val": 6, "test": 6})


@pytest.fixture
def file(tmp_path: Path, videos: Path, uri: str) -> Path:
    return write_schedules(tmp_path, videos, uri)


@pytest.fixture
def site(file: Path) -> Site:
    return load_site(str(file.parent / "site.toml"))


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all the rest."""

    def drawn(result: TableResult, kind: str) -> bytes:
        return f"{kind} of {result.table.name}".encode()

    monkeypatch.setattr(artifacts, "draw", drawn)


def run(file: Path, slot: str, *flags: str, code: int = 0) -> str:
    result = schedule("run", "nightly", "--slot", slot, "--file", str(file), *flags)
    assert result.exit_code == code, result.output
    return result.output


def kinds(uri: str) -> Counter[str]:
    client = MlflowClient(uri)
    found = client.search_runs([own.experiment_id for own in client.search_experiments()])
    return Counter(own.data.tags["fsar.kind"] for own in found)


def fails(planned: PlannedRun, plan: Plan) -> None:
    if planned.run.batches.kind == "episodes":
        planned.folder.write_failure(Failure(traceback="Traceback: made"))
    else:
        succeed(planned, plan)


class TestOnce:
    def test_a_slot_is_run_once_kept_whole_and_used_by_the_next(
        self, file: Path, site: Site, plans: Plans, uri: str
    ) -> None:
        seen = plans(succeed)
        run(file, SLOTS[0])
        (first,) = reruns(site, "nightly")
        assert_kept(first, site)
        assert_told(first, uri)
        before, rows = files(site.storage / "runs"), everything(uri)
        assert "is done: 6 of 6 cells" in run(file, SLOTS[0], "--fresh")
        assert everything(uri) == rows
        run(file, SLOTS[1])
        assert len(seen) == 1
        assert files(site.storage / "runs") == before
        _, second = reruns(site, "nightly")
        assert (second.slot, second.numbers) == (SLOTS[1], first.numbers)
        assert kinds(uri) == {"rerun": 2, "table": 1, "cell": CELLS, "training": RUNS}

    def test_who_comes_second_starts_nothing(self, file: Path, site: Site, plans: Plans) -> None:
        seen = plans(succeed)
        with slot_held(site, "nightly", SLOTS[0]) as got:
            assert got
            assert "at work in another process" in run(file, SLOTS[0])
            assert state(site, "nightly", SLOTS[0]) == "at work"
        assert not seen
        assert state(site, "nightly", SLOTS[0]) is None

    def test_without_a_slot_it_is_the_newest_that_was_due(self, file: Path, site: Site) -> None:
        due = slot_of(read_cron("0 3 * * *", "UTC").due(datetime.now(UTC)))
        with slot_held(site, "nightly", due):
            result = schedule("run", "nightly", "--file", str(file))
        assert f"nightly {due} is at work" in result.output

    def test_a_slot_may_be_written_in_any_zone(self, file: Path, site: Site) -> None:
        with slot_held(site, "nightly", SLOTS[0]):
            assert f"nightly {SLOTS[0]} is at work" in run(file, "2026-11-01T04:00+01:00")

    def test_one_that_ended_without_all_numbers_goes_on_when_it_is_asked_to(
        self, file: Path, site: Site, plans: Plans, uri: str
    ) -> None:
        plans(fails)
        run(file, SLOTS[0], code=1)
        assert state(site, "nightly", SLOTS[0]) == "incomplete"
        seen = plans(succeed)
        assert "--again goes on" in run(file, SLOTS[0], code=1)
        assert not seen
        run(file, SLOTS[0], "--again")
        assert state(site, "nightly", SLOTS[0]) == "done"
        assert kinds(uri)["rerun"] == 1


class TestWithoutMLflow:
    def test_a_slot_that_could_not_reach_it_says_so_and_goes_on_when_it_is_run_again(
        self, file: Path, site: Site, plans: Plans, uri: str
    ) -> None:
        seen = plans(succeed)
        database = Path(uri.removeprefix("sqlite:///"))
        aside = database.rename(database.with_name("aside.db"))
        database.mkdir()
        assert f"nightly {SLOTS[0]} stopped: the MLflow store {uri} must be reachable" in run(file, SLOTS[0], code=1)
        assert not seen
        assert state(site, "nightly", SLOTS[0]) == "cut short"
        assert left_out(site, "nightly", SLOTS[0]) is None
        database.rmdir()
        aside.rename(database)
        run(file, SLOTS[0])
        assert state(site, "nightly", SLOTS[0]) == "done"


class TestFresh:
    def test_it_trains_all_anew_beside_the_record_and_hangs_on_its_parent(
        self, file: Path, site: Site, plans: Plans, uri: str
    ) -> None:
        seen = plans(succeed)
        run(file, SLOTS[0], "--fresh")
        client = MlflowClient(uri)
        assert client.get_experiment_by_name("sgtm/table5") is None
        assert not (site.storage / "runs").exists()
        run(file, SLOTS[1])
        assert [len(plan.todo()) for plan in seen] == [RUNS, RUNS]
        new, old = reruns(site, "nightly")
        assert new.storage == rerun_folder(site, "nightly", SLOTS[0])
        assert [own.run for own in new.numbers] == [own.run for own in old.numbers]
        assert kinds(uri) == {"rerun": 2, "table": 2, "cell": 2 * CELLS, "training": 2 * RUNS}
        experiment = client.get_experiment_by_name("reruns/nightly")
        assert experiment is not None
        tables = client.search_runs([experiment.experiment_id], "tags.`fsar.kind` = 'table'")
        assert [own.data.tags["mlflow.parentRunId"] for own in tables] == [new.tracking_run]

    def test_seeds_from_the_slot_are_others_each_time(self) -> None:
        content = {"script": "mask_ratio", "cron": "* * * * *", "seeds": 100, "seed_start": "slot", "fresh": True}
        every_minute = Schedule.model_validate(content)
        first, second = (seeds_of(every_minute, slot_moment(f"20261101T03{m}00Z"), fresh=True) for m in ("00", "01"))
        assert len({*first, *second}) == 200
        assert max(second) < 2**31
        assert seeds_of(every_minute, slot_moment(SLOTS[0]), fresh=False) == tuple(range(100))
        assert seeds_of(every_minute, FIRST_SLOT, fresh=True) == tuple(range(100))

    @pytest.mark.parametrize("why", [None, "cut short", "refused"])
    def test_a_slot_that_began_fresh_goes_on_fresh(
        self, file: Path, site: Site, plans: Plans, why: Literal["cut short", "refused"] | None
    ) -> None:
        plans(succeed)
        mark_begun(site, "nightly", SLOTS[0], fresh=True)
        if why is not None:
            mark_left_out(site, "nightly", SLOTS[0], why, "for a reason")
        run(file, SLOTS[0])
        (rerun,) = reruns(site, "nightly")
        assert rerun.fresh


class TestRefused:
    def test_another_rerun_at_work_leaves_it_out_and_that_is_kept(self, file: Path, site: Site, plans: Plans) -> None:
        seen = plans(succeed)
        with schedule_held(site, "nightly"):
            assert "left out (overlap = skip)" in run(file, SLOTS[0])
        missing = left_out(site, "nightly", SLOTS[0])
        assert missing is not None
        assert missing.why == "overlap"
        assert not seen
        line = schedule("list", "--file", str(file)).output
        assert "left out: overlap" in line

    def test_why_it_was_refused_is_kept(self, file: Path, site: Site) -> None:
        file.write_text(file.read_text().replace('"hmdb51"', '"hmbd51"'))
        result = schedule("run", "nightly", "--slot", SLOTS[0], "--file", str(file))
        assert "Did you mean 'hmdb51'?" in refusals(result)[0]
        missing = left_out(site, "nightly", SLOTS[0])
        assert missing is not None
        assert (missing.why, "hmbd51" in missing.said[0]) == ("refused", True)

    @pytest.mark.parametrize(
        ("slot", "part"),
        [
            ("tomorrow", "must be a whole minute"),
            ("2026-11-01T03:00", "with its time zone"),
            ("2026-11-01T03:00:30Z", "must be a whole minute"),
            ("2999-01-01T00:00Z", "must be a moment of the past"),
            ("2023-03-28T10:39Z", "2023-03-28T10:40Z at the earliest, got '2023-03-28T10:39Z'"),
            ("0999-01-01T00:00Z", "at the earliest"),
            ("0001-01-01T00:00+14:00", "must be a whole minute"),
        ],
    )
    def test_a_slot_is_a_minute_of_the_past(self, file: Path, site: Site, slot: str, part: str) -> None:
        result = schedule("run", "nightly", "--slot", slot, "--fresh", "--file", str(file))
        assert part in refusals(result)[0]
        assert slots(site, "nightly") == []


def test_a_plan_beyond_the_budget_is_refused_and_what_nothing_tells_is_not_counted(
    file: Path, plans: Plans, site: Site
) -> None:
    place = file.parent / "site.toml"
    place.write_text(f"gpus_per_run = 1\n{place.read_text()}")  # of which this machine has none
    file.write_text(f"{file.read_text()}budget_gpu_hours = 1e-6\n")
    seen = plans(on_a_gpu)
    assert f"the time of {RUNS} trainings and {CELLS} tests is not known" in run(file, SLOTS[0])
    run(file, SLOTS[1], "--fresh", code=2)
    file.write_text(file.read_text().replace("seeds = 1", "seeds = 2"))
    assert "budget_gpu_hours allows 1e-06" in run(file, SLOTS[2], code=2)
    assert "budget_gpu_hours allows 1e-06" in run(file, SLOTS[2], code=2)
    assert len(seen) == 1
    assert [state(site, "nightly", slot) for slot in SLOTS] == ["done", "left out", "left out"]


def on_a_gpu(planned: PlannedRun, plan: Plan) -> None:
    succeed(planned, plan)
    record = planned.folder.record()
    assert record is not None
    environment = record.environment.model_copy(update={"device": "NVIDIA X"})
    planned.folder.write_record(record.model_copy(update={"environment": environment}))


def assert_kept(rerun: Rerun, site: Site) -> None:
    """All that a comparison needs."""
    assert (rerun.slot, rerun.exit_code, rerun.cells, rerun.cells_done) == (SLOTS[0], 0, CELLS, CELLS)
    assert (rerun.storage, rerun.seeds, rerun.fresh) == (site.storage, (0,), False)
    assert re.fullmatch("[0-9a-f]{16}", rerun.code.source)
    assert rerun.machines.trained_on
    assert len(rerun.numbers) == CELLS
    for number in rerun.numbers:
        folder = Store(rerun.storage).folder_of(number.run)
        record = folder.evaluation(number.eval_id, number.fingerprint)
        assert record is not None
        assert len(folder.outcomes(number.eval_id, number.fingerprint)) == record.evaluation.episodes
        assert record.accuracy == number.accuracy


def assert_told(rerun: Rerun, uri: str) -> None:
    parent = MlflowClient(uri).get_run(rerun.tracking_run)
    assert parent.info.status == "FINISHED"
    expected = {"slot": rerun.slot, "schedule": "nightly", "source": rerun.code.source}
    assert expected.items() <= parent.data.tags.items()
    assert "version.torch" in parent.data.tags
    assert "λ=0.3" in parent.data.tags["mlflow.note.content"]
    assert kinds(uri) == {"rerun": 1, "table": 1, "cell": CELLS, "training": RUNS}


def test_who_looks_at_a_slot_does_not_keep_others_from_it(site: Site) -> None:
    mark_begun(site, "nightly", SLOTS[0])
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            state(site, "nightly", SLOTS[0])

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(50):
            with slot_held(site, "nightly", SLOTS[0]) as got:
                assert got
    finally:
        ended.set()
        looking.join()
