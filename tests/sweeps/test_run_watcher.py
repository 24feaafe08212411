"""What is said of runs at work, and what a tracking server is told of them."""

import io
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from fsar_core.config import RunConfig
from sweeps.engine import run_watcher, watch
from sweeps.engine.recording import Recording
from sweeps.engine.records import Point, RunFolder
from sweeps.engine.run_watcher import RunWatcher
from sweeps.engine.tracking import Tracking, TrackingError
from sweeps.engine.watch import Display
from tests.sweeps.made_clock import Clock
from tests.sweeps.made_records import run_config

RUN = run_config(steps=100)
POINT = Point(step=1, time_ms=1, metrics={"train/loss": 1.0})


class Server:
    """A tracking store that counts calls, and is away from a certain call on."""

    def __init__(self, away_from: int = 10**6) -> None:
        self.away_from, self.calls = away_from, list[str]()

    def progress(self, store_key: str, run: RunConfig, points: Sequence[Point]) -> None:
        self._called(f"progress {store_key}")

    def record_run(self, store_key: str, folder: RunFolder) -> None:
        self._called(f"record_run {store_key}")

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) >= self.away_from:
            raise TrackingError("http://nowhere:5000", "connection refused")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (watch, run_watcher):
        monkeypatch.setattr(module, "time", made)
    return made


@contextmanager
def watching(
    display: Display, server: Server | None = None, *, runs: int = 2, steps: int = 200
) -> Generator[RunWatcher]:
    """When it is left, the server was told everything."""
    with Recording(display) as recording:
        yield RunWatcher(display, cast(Tracking, server or Server()), recording, runs=runs, steps=steps)


def test_a_line_says_counts_rate_and_time_left(
    display: Display, output: io.StringIO, clock: Clock, tmp_path: Path
) -> None:
    with watching(display) as seen:
        seen.started("a", RUN, 0)
        seen.started("b", RUN, 0)
        clock.now += 20
        seen.stepped("a", 40, [POINT])
        clock.now += 20
        seen.stepped("a", 100, [])
        seen.finished("a", RunFolder(tmp_path), failed=False)
        clock.now += 20
        seen.stepped("b", 50, [])
        clock.now += 1
        seen.finished("b", RunFolder(tmp_path), failed=True)
    assert output.getvalue().splitlines() == [
        "training: 0/200 steps, 0.0/s; runs: 0/2 done, 1 at work, time left not known yet",
        "training: 40/200 steps, 2.0/s; runs: 0/2 done, 2 at work, 1.3 min left",
        "training: 100/200 steps, 2.5/s; runs: 0/2 done, 2 at work, 0.7 min left",
        "training: 150/200 steps, 2.5/s; runs: 1/2 done, 1 at work, 0.3 min left",
        "training: 150/150 steps, 2.5/s; runs: 1/2 done, 0 at work, 1 failed, 0.0 min left",
    ]


def test_only_steps_of_this_start_count_and_a_restart_takes_none_away(
    display: Display, output: io.StringIO, clock: Clock, tmp_path: Path
) -> None:
    with watching(display, runs=1, steps=60) as seen:
        seen.started("a", RUN, 40)
        clock.now += 10
        seen.stepped("a", 70, [])
        seen.started("a", RUN, 60)
        clock.now += 10
        seen.stepped("a", 100, [])
        seen.finished("a", RunFolder(tmp_path), failed=False)
    counts = [line.split()[1] for line in output.getvalue().splitlines()]
    assert counts == ["0/60", "30/60", "60/60", "60/60"]


def test_a_run_that_is_stopped_early_takes_its_steps_off(
    display: Display, output: io.StringIO, clock: Clock, tmp_path: Path
) -> None:
    with watching(display, runs=1, steps=100) as seen:
        seen.started("a", RUN, 0)
        clock.now += 10
        seen.stepped("a", 25, [])
        seen.finished("a", RunFolder(tmp_path), failed=False)
    assert output.getvalue().splitlines()[-1].startswith("training: 25/25 ")


def test_more_steps_than_expected_leave_no_negative_time(
    display: Display, output: io.StringIO, clock: Clock, tmp_path: Path
) -> None:
    with watching(display, runs=1, steps=10) as seen:
        seen.started("a", RUN, 0)
        clock.now += 10
        seen.stepped("a", 50, [])
    assert output.getvalue().splitlines()[-1].endswith(" 0.0 min left")


def test_a_run_that_never_started_is_counted_as_failed(
    display: Display, output: io.StringIO, clock: Clock, tmp_path: Path
) -> None:
    with watching(display, runs=1, steps=100) as seen:
        seen.finished("a", RunFolder(tmp_path), failed=True)
    assert seen.failed == {"a"}
    assert "1 failed" in output.getvalue()


@pytest.mark.parametrize(("failed", "seconds", "calls"), [(False, 0, 1), (False, 10, 3), (True, 0, 2), (True, 10, 3)])
def test_what_a_run_without_a_record_reached_is_told_if_it_was_shown_or_failed(
    display: Display, clock: Clock, tmp_path: Path, failed: bool, seconds: int, calls: int
) -> None:
    server = Server()
    with watching(display, server) as seen:
        seen.started("a", RUN, 0)
        clock.now += seconds
        seen.stepped("a", 1, [POINT])
        seen.stepped("a", 2, [POINT])
        seen.finished("a", RunFolder(tmp_path), failed=failed)
    assert server.calls == ["progress a"] * (calls - 1) + ["record_run a"]


def test_tracking_hears_of_looks_now_and_then_and_not_of_those_that_the_record_has(
    display: Display, clock: Clock, tmp_path: Path
) -> None:
    server = Server()
    with watching(display, server) as seen:
        seen.started("a", RUN, 0)
        for _ in range(12):
            clock.now += 1
            seen.stepped("a", 1, [POINT])
        (tmp_path / "run.json").write_text("{}")
        seen.finished("a", RunFolder(tmp_path), failed=False)
    assert server.calls == ["progress a", "progress a", "record_run a"]


def test_a_tracking_server_that_goes_away_stops_no_run_and_is_said_once(
    display: Display, output: io.StringIO, clock: Clock, tmp_path: Path
) -> None:
    server = Server(away_from=2)
    with watching(display, server) as seen:
        for key in "ab":
            seen.started(key, RUN, 0)
            seen.stepped(key, 50, [POINT])
            seen.stepped(key, 100, [POINT])
            clock.now += 20
            seen.finished(key, RunFolder(tmp_path), failed=False)
    text = output.getvalue()
    assert text.count("tracking stopped, training goes on") == 1
    assert "connection refused" in text
    assert "http://nowhere:5000" in text
    assert "runs: 2/2 done" in text
    assert len(server.calls) == 2


def test_runs_beyond_the_expected_number_bring_their_steps(clock: Clock, output: io.StringIO, tmp_path: Path) -> None:
    display = Display(Console(file=output, width=200))
    with watching(display, runs=1, steps=100) as watcher:
        for key in ("expected", "needed by it"):
            watcher.started(key, RUN, 0)
            watcher.stepped(key, 100, [])
            clock.now += 60
            watcher.finished(key, RunFolder(tmp_path / key), failed=False)
    last = output.getvalue().strip().splitlines()[-1]
    assert last.startswith("training: 200/200 steps")
    assert "runs: 2/2 done" in last
