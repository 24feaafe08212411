"""Files of a storage that a backup keeps: which, and how they are copied while sweeps go on."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fsar_core.aside import in_progress
from fsar_core.frozen import Frozen
from fsar_core.kept_weights import finished_weights_file
from sweeps.engine.site import Site

STORAGE, IMPORTS = "storage", "imports"
_LEFT_OUT = {"locks", "tune"}
"""Folders of the storage that mean nothing elsewhere."""
_CHECKPOINTS = "checkpoints"
_CHUNK = 1 << 20


class Entry(Frozen):
    """A file of a backup."""

    size: int
    mtime_ns: int
    """Kept, for MLflow's rows remember results by it."""
    sha256: str


@dataclass(frozen=True)
class Place:
    """A file, and where it goes in a backup."""

    source: Path
    inside: str


def kept_files(site: Site, *, weights: bool) -> list[Place]:
    """All but databases, locks and checkpoints; with ``weights`` the selected ones of finished runs too."""
    found = [place for place in _below(site.storage, STORAGE) if not _is_database(place.source)]
    found += _below(site.imports, IMPORTS)
    if weights:
        found += _weights(site.storage)
    own = {place.inside: place for place in found}
    for place in found:  # outcomes are written before their record: one that is listed without them has them by now
        outcomes = place.source.with_suffix(".parquet")
        if place.source.parent.name == "evaluations" and place.source.suffix == ".json":
            own.setdefault(str(Path(place.inside).with_suffix(".parquet")), _beside(place, outcomes))
    return [own[inside] for inside in sorted(own)]


def sqlite_files(site: Site) -> list[Place]:
    """In the storage."""
    return [place for place in _below(site.storage, STORAGE) if _is_database(place.source)]


def copied(place: Place, target: Path, before: Path | None, known: Mapping[str, Entry]) -> tuple[Entry | None, bool]:
    """The file in the backup ``target``, and whether it is a link into the former backup ``before``, whose entries are
    ``known``. (None, False) where it has been removed meanwhile."""
    to = target / place.inside
    try:
        stat = place.source.stat()
        entry = known.get(place.inside)
        if before and entry and (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            to.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # another disk, or a file that somebody took from the former backup: it is copied
                os.link(before / place.inside, to)
                return entry, True
        return copy_file(place.source, to), False
    except FileNotFoundError:
        return None, False


def copy_file(source: Path, target: Path) -> Entry:
    """With its time, durably."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, target.open("xb") as copy:
        stat = os.fstat(file.fileno())
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return Entry(size=size, mtime_ns=stat.st_mtime_ns, sha256=digest.hexdigest())


def entry_of(path: Path) -> Entry:
    """Of a file that is there already."""
    stat = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=digest)


def _below(root: Path, name: str) -> list[Place]:
    found: list[Place] = []
    for folder, folders, files in os.walk(root):
        own = Path(folder)
        top = own == root
        folders[:] = [sub for sub in folders if not sub.startswith(".") and not (top and sub in _LEFT_OUT)]
        folders[:] = [sub for sub in folders if sub != _CHECKPOINTS or own.parent.name != "runs"]
        places = (own / file for file in files if _is_kept(file))
        found += [Place(path, f"{name}/{path.relative_to(root)}") for path in places if path.is_file()]
    return found


def _is_kept(file: str) -> bool:
    side = (".lock", "-wal", "-shm", "-journal")
    return not file.startswith(".") and not file.endswith(side) and not in_progress(file)


def _is_database(path: Path) -> bool:
    return path.suffix == ".db"


def _weights(storage: Path) -> Iterator[Place]:
    for folder in sorted((storage / "runs").glob("*")):
        file = finished_weights_file(folder / _CHECKPOINTS) if (folder / "run.json").exists() else None
        if file is not None:
            yield Place(file, f"{STORAGE}/{file.relative_to(storage)}")


def _beside(place: Place, source: Path) -> Place:
    return Place(source, str(Path(place.inside).with_suffix(source.suffix)))
