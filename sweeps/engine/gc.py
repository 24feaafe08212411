"""What takes room in a storage and is not needed any more. Only what this program has made is ever named."""

import re
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from fsar_core.aside import abandoned
from fsar_core.kept_weights import finished_weights_file, slim, superfluous
from sweeps.engine.bundle import RUN_KEY
from sweeps.engine.records import RunFolder, RunRecord
from sweeps.engine.reruns import SCHEDULE_NAME, SLOT
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.schedules_slots import is_at_work

Kind = Literal["training state", "old checkpoint", "left over", "Ray session", "unreferenced run"]
KINDS: dict[Kind, str] = {
    "training state": "of finished runs all but the selected weights: optimiser, weights of the last step",
    "old checkpoint": "of unfinished runs all but the newest checkpoint",
    "left over": "what killed processes were writing",
    "Ray session": "Ray Tune's notes on launches that have ended",
    "unreferenced run": "runs that no table and no search names, with all that is recorded of them",
}
_SESSION = re.compile(r"trainable_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")
_REMOVED = re.compile(r"\.[0-9a-f]{16}-[0-9a-f]{16}(-r\d+)?\.removed")
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Garbage:
    """A place that can be freed, or was."""

    kind: Kind
    path: Path
    size: int
    """Bytes that the disk gets back."""


@dataclass
class Found:
    """What a pass over a storage came across."""

    garbage: list[Garbage] = field(default_factory=list)
    at_work: list[Path] = field(default_factory=list)
    """Runs that a process holds now; they are left alone."""
    reruns_at_work: list[Path] = field(default_factory=list)
    """Folders of reruns that a process holds now; nothing below them is looked at."""
    driver: bool = False
    """Whether a sweep runs on this storage now: Ray's sessions are left alone then."""


@dataclass(frozen=True)
class Unreferenced:
    """Which runs to take for unreferenced: not named, not imported, and untouched for long."""

    named: Collection[str]
    """Keys of the runs of all tables and searches; what these need is kept, too."""
    needed: Collection[str]
    """``run_id`` of further runs that are kept."""
    older_than_s: float


def collect_garbage(storage: Path, *, remove: bool, tell: Tell, unreferenced: Unreferenced | None = None) -> Found:
    """Finds it, in the reruns of schedules too, and with ``remove`` frees it. What is at work is never touched, and no
    run of a rerun is unreferenced. ``tell`` hears of runs.

    Raises UnreadableResultError for a damaged record.
    """
    found = Found()
    folders = {place: _run_folders(place) for place in (storage, *_reruns(storage))}
    drop = set[str]() if unreferenced is None else _unreferenced(folders[storage], unreferenced)
    done, total = 0, sum(map(len, folders.values()))
    for place, own in folders.items():
        if place != storage and is_at_work(place):
            found.reruns_at_work.append(place)
            continue
        for folder in own:
            _visit(folder, found, remove=remove, drop=place == storage and folder.path.name in drop)
            done += 1
            tell(done, total)
        _clear(place, found, remove=remove)
    return found


def _reruns(storage: Path) -> list[Path]:
    """Their folders; a fresh one is a storage of its own."""
    names = _folders(storage / "reruns", re.compile(SCHEDULE_NAME))
    return [slot for name in names for slot in _folders(name, re.compile(SLOT))]


def _clear(storage: Path, found: Found, *, remove: bool) -> None:
    """What lies beside its runs."""
    _take(found, "left over", _half_removed(storage), remove=remove)
    _take(found, "left over", _abandoned_tables(storage), remove=remove)
    if _driver_at_work(storage):
        found.driver = True
    else:
        _take(found, "Ray session", _folders(storage / "tune", _SESSION), remove=remove)


def _run_folders(storage: Path) -> list[RunFolder]:
    return [RunFolder(path) for path in _folders(storage / "runs", RUN_KEY)]


def _folders(root: Path, name: re.Pattern[str]) -> list[Path]:
    """No links: what they lead to may belong to somebody else."""
    found = (path for path in root.glob("*") if name.fullmatch(path.name))
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def _half_removed(storage: Path) -> list[Path]:
    return _folders(storage / "runs", _REMOVED)


def _abandoned_tables(storage: Path) -> list[Path]:
    folders = (path for path in (storage / "tables").rglob("*") if path.is_dir())
    return [path for folder in folders for path in abandoned(folder)]


def _visit(folder: RunFolder, found: Found, *, remove: bool, drop: bool) -> None:
    try:
        with FileLock(folder.path / "run.lock", timeout=0):
            if drop:
                _drop(folder, found, remove=remove)
            else:
                _tidy(folder, found, remove=remove)
    except Timeout:
        found.at_work.append(folder.path)


def _drop(folder: RunFolder, found: Found, *, remove: bool) -> None:
    """Renamed first, so that a kill in between leaves no half of a run."""
    found.garbage.append(Garbage("unreferenced run", folder.path, _size([folder.path])))
    if remove:
        aside = folder.path.with_name(f".{folder.path.name}.removed")
        folder.path.rename(aside)
        shutil.rmtree(aside)


def _tidy(folder: RunFolder, found: Found, *, remove: bool) -> None:
    finished = _record(folder) is not None
    places = superfluous(folder.checkpoints, finished=finished)
    kept = finished_weights_file(folder.checkpoints) if finished else None
    by_kind: dict[Kind, list[Path]] = {"training state" if finished else "old checkpoint": [], "left over": []}
    for place in places:
        kind: Kind = "left over" if place.name.startswith(".") else "training state" if finished else "old checkpoint"
        by_kind[kind].append(place)
    for kind, own in by_kind.items():
        if own:
            found.garbage.append(Garbage(kind, folder.checkpoints, _size(own, spared=kept)))
    if remove and places:
        if finished:
            slim(folder.checkpoints)
        else:
            for place in places:
                shutil.rmtree(place)
    for own in (folder.path, folder.path / "evaluations"):
        _take(found, "left over", list(abandoned(own)), remove=remove)


def _record(folder: RunFolder) -> RunRecord | None:
    try:
        return folder.record()
    except ValueError as error:
        raise UnreadableResultError(folder, "run.json", error) from error


def _take(found: Found, kind: Kind, paths: Iterable[Path], *, remove: bool) -> None:
    for path in paths:
        found.garbage.append(Garbage(kind, path, _size([path])))
        if remove and path.is_dir():
            shutil.rmtree(path)
        elif remove:
            path.unlink(missing_ok=True)


def _driver_at_work(storage: Path) -> bool:
    for path in (storage / "locks").glob("*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
    return False


def _unreferenced(folders: list[RunFolder], rule: Unreferenced) -> set[str]:
    """Keys. What a run that stays needs first is kept, too; of unfinished ones only ``rule.needed`` says what."""
    runs = {folder.path.name: (folder, _record(folder)) for folder in folders}
    kept = {key for key, (folder, record) in runs.items() if _stays(folder, record, rule)}
    waiting = list(kept)
    while waiting:
        record = runs[waiting.pop()][1]
        needs = {need.run.run_id() for need in record.run.needs} if record is not None else set[str]()
        more = {key for key in runs if key.partition("-")[0] in needs} - kept
        kept |= more
        waiting += more
    return set(runs) - kept


def _stays(folder: RunFolder, record: RunRecord | None, rule: Unreferenced) -> bool:
    key = folder.path.name
    if key in rule.named or key.partition("-")[0] in rule.needed:
        return True
    if record is not None and record.origin.imported is not None:
        return True
    return time.time() - _touched(folder.path) < rule.older_than_s


def _touched(path: Path) -> float:
    """Unix time of the newest change below a folder."""
    newest = path.stat().st_mtime
    for own in path.rglob("*"):
        with suppress(FileNotFoundError):
            newest = max(newest, own.lstat().st_mtime)
    return newest


def _size(paths: Iterable[Path], spared: Path | None = None) -> int:
    """Bytes of all files below; what has another name elsewhere stays on the disk, and so does ``spared``."""
    names: dict[int, tuple[int, int, int]] = {}
    for path in paths:
        for own in (path, *path.rglob("*")):
            with suppress(FileNotFoundError):
                found = own.lstat()
                if stat.S_ISREG(found.st_mode):
                    seen = names.get(found.st_ino, (0, 0, 0))[0] + 1
                    names[found.st_ino] = (seen, found.st_nlink, found.st_size)
    kept = None if spared is None else spared.stat().st_ino
    return sum(size for inode, (seen, links, size) in names.items() if seen >= links and inode != kept)
