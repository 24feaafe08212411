"""What happens when a slot is due: a process of its own is started for it."""

import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from sweeps.engine.reruns import slot_of
from sweeps.engine.schedules_cron import read_cron
from sweeps.engine.schedules_slots import LOG

FIRE = f"{__name__}:fire"
"""``fire`` as text, which outlives processes."""
_RUNNING: set[Path] = set()
"""Folders of slots whose processes this one has started, and which have not ended."""


def fire(file: str, name: str, cron: str, zone: str, folder: str) -> None:
    """Starts the slot that is due, and does not wait for it. ``folder``: of the schedule."""
    start(file, name, slot_of(read_cron(cron, zone).due(datetime.now(UTC))), Path(folder))


def start(file: str, name: str, slot: str, folder: Path) -> None:
    """As a process whose end is no end of the server, nor the other way round."""
    log = folder / slot / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sweeps", "schedule", "run", name, "--file", file, "--slot", slot]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    _RUNNING.add(log.parent)
    say(f"{name} {slot} begins as process {process.pid}, log {log}")
    threading.Thread(target=_tell_end, args=(process, f"{name} {slot}", log.parent), daemon=True).start()


def is_running(slot: str, folder: Path) -> bool:
    """Whether a process that was started here is at it, also before it has its lock. ``folder``: of the schedule."""
    return folder / slot in _RUNNING


def say(text: str) -> None:
    """A line with the moment."""
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {text}\n")
    sys.stdout.flush()


def _tell_end(process: "subprocess.Popen[bytes]", what: str, folder: Path) -> None:
    code = process.wait()
    _RUNNING.discard(folder)
    say(f"{what} ended with exit code {code}")
