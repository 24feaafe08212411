"""The state of a schedule's slots, in files: who works on one, which have begun, which were left out and why."""

import os
import platform
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import ValidationError

from fsar_core.frozen import Frozen
from sweeps.engine.records import write_aside
from sweeps.engine.reruns import SLOT, find_rerun, rerun_folder
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.start import now_ms

Why = Literal["overlap", "missed", "cut short", "refused"]
State = Literal["done", "incomplete", "at work", "cut short", "left out"]
"""``incomplete``: it came to its end, but cells have no number. ``cut short``: it began and nobody works on it."""
LOG = "log.txt"
"""In the slot's folder, what a server's rerun printed."""
_BEGUN, _LEFT_OUT, _LOCK, _ENDED = "begun.json", "left_out.json", "lock", "rerun.json"
_LOOK_S = 1.0
_PATIENCE_S = 1.0
"""Who only looks whether a slot is taken holds it for a moment, which must not look like a rerun."""


class LeftOut(Frozen):
    """Why a slot was not run."""

    why: Why
    said: tuple[str, ...]
    at_ms: int
    """Unix time."""


class Begun(Frozen):
    """Who took up a slot last."""

    host: str
    process: int
    at_ms: int
    """Unix time."""
    fresh: bool = False
    """Trains everything anew."""


@contextmanager
def slot_held(site: Site, name: str, slot: str) -> Generator[bool]:
    """Whether this process now holds the slot; False where another one does. The lock dies with its process."""
    with _held(rerun_folder(site, name, slot) / _LOCK, _PATIENCE_S) as got:
        yield got


@contextmanager
def schedule_held(site: Site, name: str) -> Generator[bool]:
    """As ``slot_held``, of all slots of a schedule."""
    with _held(_schedule_lock(site, name), _PATIENCE_S) as got:
        yield got


@contextmanager
def schedule_waited_for(site: Site, name: str) -> Generator[None]:
    """As ``schedule_held``, after whoever holds it."""
    lock = FileLock(_made(_schedule_lock(site, name)))
    with lock.acquire(poll_interval=_LOOK_S):
        yield


@contextmanager
def storage_held(storage: Path) -> Generator[None]:
    """For the moment in which a server takes up its schedules; others wait."""
    with FileLock(_made(storage / "reruns" / _LOCK)).acquire(poll_interval=0.1):
        yield


def mark_begun(site: Site, name: str, slot: str, *, fresh: bool = False) -> None:
    """What was said of it before no longer counts."""
    folder = rerun_folder(site, name, slot)
    (folder / _LEFT_OUT).unlink(missing_ok=True)
    begun = Begun(host=platform.node(), process=os.getpid(), at_ms=now_ms(), fresh=fresh)
    write_aside(folder / _BEGUN, begun.model_dump_json(indent=1).encode())


def mark_left_out(site: Site, name: str, slot: str, why: Why, *said: str) -> None:
    """A slot that was done stays so."""
    found = LeftOut(why=why, said=said, at_ms=now_ms())
    write_aside(rerun_folder(site, name, slot) / _LEFT_OUT, found.model_dump_json(indent=1).encode())


def begun(site: Site, name: str, slot: str) -> Begun | None:
    """None where it never began, or its file says nothing that can be read."""
    try:
        return Begun.model_validate_json((rerun_folder(site, name, slot) / _BEGUN).read_bytes())
    except (OSError, ValidationError):
        return None


def left_out(site: Site, name: str, slot: str) -> LeftOut | None:
    """As ``begun``."""
    try:
        return LeftOut.model_validate_json((rerun_folder(site, name, slot) / _LEFT_OUT).read_bytes())
    except (OSError, ValidationError):
        return None


def slots(site: Site, name: str) -> list[str]:
    """All of which anything is known, the oldest first."""
    root = site.storage / "reruns" / name
    return sorted(path.name for path in root.glob("*") if path.is_dir() and re.fullmatch(SLOT, path.name))


def cut_short(site: Site, name: str) -> list[str]:
    """Slots that began and on which nobody works, the oldest first. What came to its end is not read: there may be
    years of it."""
    open_ones = (slot for slot in slots(site, name) if not (rerun_folder(site, name, slot) / _ENDED).exists())
    return [slot for slot in open_ones if state(site, name, slot) == "cut short"]


def state(site: Site, name: str, slot: str) -> State | None:
    """None where nothing has happened yet. Raises BadRequest for a damaged ``rerun.json``."""
    found = find_rerun(site, name, slot)
    if found is not None:
        return "incomplete" if found.exit_code else "done"
    if is_at_work(rerun_folder(site, name, slot)):
        return "at work"
    if left_out(site, name, slot) is not None:
        return "left out"
    return None if begun(site, name, slot) is None else "cut short"


def is_at_work(folder: Path) -> bool:
    """Whether a process holds the slot of this folder."""
    lock = folder / _LOCK
    if not lock.exists():
        return False
    with _held(lock, 0) as got:
        return not got


@contextmanager
def _held(path: Path, patience_s: float) -> Generator[bool]:
    lock = FileLock(_made(path), timeout=patience_s)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise BadRequest(
            [f"{path} cannot be locked: {error.strerror or error}; the storage must be writable"]
        ) from error
    try:
        yield True
    finally:
        lock.release()


def _schedule_lock(site: Site, name: str) -> Path:
    return site.storage / "reruns" / name / _LOCK


def _made(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(
            [f"{path.parent} cannot be made: {error.strerror or error}; the storage must be writable"]
        ) from error
    return path
