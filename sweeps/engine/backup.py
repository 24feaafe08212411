"""A backup of all that is recorded: the databases as they are at one moment, and the files of the storage.

The databases come first. What they hold is made from the files, which only ever get more and are written aside and
renamed: files that are copied after a database hold all that it speaks of, and what they have beyond it is added by the
next launch. The other way round, a database could name results that are in no file.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from fsar_core.frozen import Frozen
from sweeps.engine.backup_databases import copy_sqlite, dump, missing_programs
from sweeps.engine.backup_files import Entry, copied, kept_files, sqlite_files
from sweeps.engine.databases import BadDatabaseError, Database
from sweeps.engine.records import bytes_free, write_aside
from sweeps.engine.site import BadRequest, Site

MANIFEST = "backup.json"
DatabaseName = Literal["mlflow", "studies"]
Tell = Callable[[int, int], None]
_FORMAT = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"\d{8}T\d{6}Z")


class DatabaseCopy(Frozen):
    """One of the two databases in a backup."""

    kind: Literal["sqlite", "postgresql"]
    file: str
    """Relative to the backup."""


class Manifest(Frozen):
    """What a backup holds."""

    program: str
    storage: str
    """Where the files lay: MLflow's own paths start with it."""
    databases: dict[DatabaseName, DatabaseCopy]
    weights: bool
    files: dict[str, Entry]
    """By path in the backup, the databases too."""


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """What became of it."""

    folder: Path
    manifest: Manifest
    linked: int
    """Files that a former backup has already; they take no room."""
    gone: tuple[str, ...]
    """Files that were removed while they were to be copied."""
    removed: tuple[Path, ...]
    """Former backups."""


def back_up(
    site: Site, databases: Mapping[DatabaseName, Database], root: Path, *, weights: bool, keep: int | None, tell: Tell
) -> BackedUp:
    """Writes ``root/<UTC time>``; sweeps may run meanwhile. ``tell`` hears of files, of so many.

    ``keep``: so many backups of ``root`` stay, this one included; None: all. Files that the newest of them has already
    become links to it. Raises BadRequest with all that is wrong, before anything is written.
    """
    _check(site, databases, root, keep)
    before = newest(root)
    known = read_manifest(before).files if before else {}
    final = root / datetime.now(UTC).strftime(_FORMAT)
    aside = root / f".{final.name}.partial-{os.getpid()}"
    try:
        aside.mkdir(mode=0o700, parents=True)
        copies, files = _databases(databases, site, aside)
        wanted = [path for path in kept_files(site, weights=weights) if path.inside not in files]
        linked, gone = 0, list[str]()
        for done, path in enumerate(wanted, 1):
            entry, link = copied(path, aside, before, known)
            if entry is None:
                gone.append(path.inside)
            else:
                files[path.inside] = entry
                linked += link
            tell(done, len(wanted))
        manifest = Manifest(
            program=f"fsar-sweeps {version('fsar-sweeps')}",
            storage=str(site.storage),
            databases=copies,
            weights=weights,
            files=dict(sorted(files.items())),
        )
        write_aside(aside / MANIFEST, manifest.model_dump_json(indent=0).encode())
        aside.rename(final)
    except OSError as error:
        raise BadRequest([f"{error.filename or root}: {error.strerror or error}; the backup was not made"]) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return BackedUp(folder=final, manifest=manifest, linked=linked, gone=tuple(gone), removed=_removed(root, keep))


def read_manifest(folder: Path) -> Manifest:
    """Of a backup. Raises BadRequest where it is none, or was not finished."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise BadRequest([f"{folder} is no backup: {MANIFEST} in it: {error.strerror or error}"]) from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise BadRequest([f"{folder / MANIFEST} is damaged: {fault['loc']}: {fault['msg']}"]) from error


def newest(root: Path) -> Path | None:
    """Of the finished backups in a folder."""
    return max(_backups(root), default=None)


def _backups(root: Path) -> list[Path]:
    found = (path for path in root.glob("*") if _NAME.fullmatch(path.name) and (path / MANIFEST).is_file())
    return sorted(path for path in found if not path.is_symlink())


def _check(site: Site, databases: Mapping[DatabaseName, Database], root: Path, keep: int | None) -> None:
    faults: list[str] = []
    if not site.storage.is_dir():
        faults.append(f"the storage {site.storage} must be a folder with records; there is none")
    if root.absolute().is_relative_to(site.storage):
        faults.append(f"the backup must lie outside of the storage {site.storage}, got {root}")
    if keep is not None and keep < 1:
        faults.append(f"--keep must be 1 or more, got {keep}")
    faults += missing_programs(list(databases.values()))
    for name, own in databases.items():
        try:
            own.tables()
        except BadDatabaseError as error:
            faults.append(f"{name}: {error}")
    sizes = sum(path.stat().st_size for path in site.storage.glob("*.db"))
    free = bytes_free(root)
    if free < 2 * sizes:
        faults.append(f"{root} has {free / 2**30:.2f} GiB free; the databases alone may need {2 * sizes / 2**30:.2f}")
    if faults:
        raise BadRequest(faults)


def _databases(
    databases: Mapping[DatabaseName, Database], site: Site, aside: Path
) -> tuple[dict[DatabaseName, DatabaseCopy], dict[str, Entry]]:
    """And every other SQLite file of the storage, none of which can be copied as a file while it is written to."""
    copies: dict[DatabaseName, DatabaseCopy] = {}
    files: dict[str, Entry] = {}
    for name, own in databases.items():
        if own.file is not None and not own.file.exists():
            continue
        inside = f"databases/{name}.{'db' if own.file else 'dump'}"
        files[inside] = dump(own, aside / inside)
        copies[name] = DatabaseCopy(kind="sqlite" if own.file else "postgresql", file=inside)
    left_out = (
        site.storage / "mlflow.db"
    )  # where MLflow's database is not asked for, its usual file is none of the others
    taken = {left_out, *(own.file for own in databases.values())}
    for path in sqlite_files(site):
        if path.source not in taken:
            files[path.inside] = copy_sqlite(path.source, aside / path.inside)
    return copies, files


def _removed(root: Path, keep: int | None) -> tuple[Path, ...]:
    """Renamed first: a backup that is being removed is none."""
    old = _backups(root)[:-keep] if keep else []
    for path in old:
        aside = path.with_name(f".{path.name}.removed")
        path.rename(aside)
        shutil.rmtree(aside)
    return tuple(old)
