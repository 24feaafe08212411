"""The server of schedules, as real processes: two of them, a killed one, slots that were missed and cut short."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from sweeps.engine.reruns import reruns, slot_of
from sweeps.engine.schedules import load_schedules
from sweeps.engine.schedules_slots import slots, state
from sweeps.engine.schedules_store import open_store, store_uri, take_up
from sweeps.engine.site import Site, load_site
from tests.e2e.processes import kill
from tests.e2e.sweeping import REPOSITORY, Place

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
LIMIT_S = 420
RUNS, CELLS = 3, 6


def write_schedule(place: Place, cron: str, *more: str) -> Path:
    path = place.folder / "schedules.toml"
    lines = ("[schedules.toy]", 'tables = ["sgtm/table6"]', 'dataset = "motionshapes"', 'preset = "tiny"', "seeds = 1")
    path.write_text("\n".join([*lines, f'site = "{place.site}"', f'cron = "{cron}"', *more]) + "\n")
    return path


def fsar(*words: str) -> list[str]:
    return [sys.executable, "-m", "sweeps", "schedule", *words]


@contextmanager
def serving(file: Path, log: Path) -> Generator["subprocess.Popen[bytes]"]:
    """A server that is ended at the latest with the test, and with it all that it started."""
    with log.open("ab") as out:
        server = subprocess.Popen(fsar("serve", "--file", str(file)), cwd=REPOSITORY, stdout=out, stderr=out)
    try:
        yield server
    finally:
        kill_server(server)


def kill_server(server: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to the server and all that descends from it; gone when this returns."""
    try:
        family = psutil.Process(server.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    server.kill()
    server.wait()
    kill(family)


def wait_for(condition: Callable[[], object], *logs: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the moment did not come\n" + "\n".join(log.read_text()[-3000:] for log in logs))
        time.sleep(0.1)


def stop(server: "subprocess.Popen[bytes]") -> int:
    server.send_signal(signal.SIGTERM)
    return server.wait(timeout=60)


def kinds(database: Path) -> Counter[str]:
    """Of all runs in MLflow, with their states."""
    with sqlite3.connect(database) as connection:
        keys = [row[0] for row in connection.execute("SELECT value FROM tags WHERE key = 'fsar.key'")]
        assert len(keys) == len(set(keys))
        assert {row[0] for row in connection.execute("SELECT status FROM runs")} == {"FINISHED"}
        return Counter(row[0] for row in connection.execute("SELECT value FROM tags WHERE key = 'fsar.kind'"))


@pytest.fixture
def place(tmp_path: Path, benchmark: Path) -> Place:
    return Place(tmp_path, benchmark)


def next_minute() -> datetime:
    """A full one that two servers can be ready for."""
    return (datetime.now(UTC) + timedelta(seconds=85)).replace(second=0, microsecond=0)


def test_two_servers_start_a_slot_once(place: Place) -> None:
    due = next_minute()
    file = write_schedule(place, f"{due.minute} {due.hour} * * *")
    logs = (place.folder / "one.log", place.folder / "two.log")
    site = load_site(str(place.site))
    with serving(file, logs[0]) as one, serving(file, logs[1]) as two:
        wait_for(lambda: reruns(site, "toy"), *logs)
        wait_for(lambda: all_ended(logs), *logs)
        assert (stop(one), stop(two)) == (0, 0)
    (rerun,) = reruns(site, "toy")
    assert (rerun.slot, rerun.exit_code, rerun.cells_done) == (slot_of(due), 0, CELLS)
    assert kinds(place.storage / "mlflow.db") == {"rerun": 1, "table": 1, "cell": CELLS, "training": RUNS}
    said = (place.storage / "reruns" / "toy" / rerun.slot / "log.txt").read_text()
    begun = sum(log.read_text().count(f"{rerun.slot} begins as process") for log in logs)
    assert begun >= 1
    assert said.count("is at work in another process") + said.count("is done") == begun - 1
    again = subprocess.run(fsar("run", "toy", "--slot", rerun.slot, "--file", str(file)), cwd=REPOSITORY, check=False)
    assert again.returncode == 0
    assert reruns(site, "toy") == [rerun]


def all_ended(logs: tuple[Path, ...]) -> bool:
    texts = [log.read_text() for log in logs]
    return all(text.count("begins as process") == text.count("ended with exit code 0") for text in texts)


def test_a_missed_slot_is_made_up_for_and_a_killed_one_goes_on(place: Place) -> None:
    now = datetime.now(UTC)
    due = (now - timedelta(hours=2)).replace(second=0, microsecond=0)
    file = write_schedule(place, f"{due.minute} {due.hour} * * *", "fresh = true", 'seed_start = "slot"')
    site = load_site(str(place.site))
    forget_days(file, site, now - timedelta(days=3))
    log = place.folder / "server.log"
    trained = place.storage / "reruns" / "toy" / slot_of(due) / "runs"
    with serving(file, log) as server:
        wait_for(lambda: list(trained.glob("*/run.json")), log)
        kill_server(server)
    assert "no server was there for 3 slots" in log.read_text()
    assert slots(site, "toy") == [slot_of(due)]
    assert state(site, "toy", slot_of(due)) == "cut short"
    before = {path: path.stat().st_mtime_ns for path in trained.glob("*/run.json")}
    with serving(file, log) as server:
        wait_for(lambda: reruns(site, "toy"), log)
        wait_for(lambda: "ended with exit code 0" in log.read_text(), log)
        assert stop(server) == 0
    assert "was cut short and is taken up" in log.read_text()
    (rerun,) = reruns(site, "toy")
    assert (rerun.slot, rerun.exit_code, rerun.cells_done) == (slot_of(due), 0, CELLS)
    assert len(list(trained.glob("*/run.json"))) == RUNS
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not (place.storage / "runs").exists()
    assert kinds(place.storage / "mlflow.db") == {"rerun": 1, "table": 1, "cell": CELLS, "training": RUNS}


def forget_days(file: Path, site: Site, since: datetime) -> None:
    """Leaves the store as a server that was stopped at ``since`` left it."""
    schedules = load_schedules(file)
    sites = dict.fromkeys(schedules, site)
    uri = store_uri(sites)
    take_up(open_store(uri), file, schedules, sites, since)
