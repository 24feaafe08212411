"""A backup into an empty place: all of it is checked first, and the storage appears as a whole."""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sweeps.engine.backup import DatabaseName, Manifest, read_manifest
from sweeps.engine.backup_databases import load, missing_programs, move_artifacts
from sweeps.engine.backup_files import IMPORTS, STORAGE, copy_file
from sweeps.engine.databases import BadDatabaseError, Database
from sweeps.engine.site import BadRequest, Site

Tell = Callable[[int, int], None]
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What was brought back, or would be."""

    manifest: Manifest
    rebuilt: tuple[DatabaseName, ...]
    """Databases that the backup has not: the next launches fill MLflow from the files, and studies begin anew."""


def restore(
    folder: Path,
    site: Site,
    databases: Mapping[DatabaseName, Database],
    *,
    dry_run: bool,
    checking: Tell,
    copying: Tell,
) -> Restored:
    """Raises BadRequest with all that is wrong: a damaged backup, or a place that is not empty. Nothing is written
    then. The callables hear of files, of so many."""
    manifest = read_manifest(folder)
    faults = [*_place_faults(manifest, site, databases), *_damages(folder, manifest, checking)]
    if faults:
        more = [f"and {len(faults) - _SHOWN} more faults"] if len(faults) > _SHOWN else []
        raise BadRequest([*faults[:_SHOWN], *more])
    if not dry_run:
        try:
            _write(folder, manifest, site, databases, copying)
        except OSError as error:
            raise BadRequest([f"{error.filename}: {error.strerror or error}; the restore was not finished"]) from error
    return Restored(manifest=manifest, rebuilt=tuple(name for name in databases if name not in manifest.databases))


def _place_faults(manifest: Manifest, site: Site, databases: Mapping[DatabaseName, Database]) -> list[str]:
    faults: list[str] = []
    if site.storage.exists() and (not site.storage.is_dir() or any(site.storage.iterdir())):
        faults.append(f"the storage {site.storage} must be a new or an empty folder; name another, or move it away")
    for name in manifest.files:
        kind, _, rest = name.partition("/")
        if kind == IMPORTS and (site.imports / rest).exists():
            faults.append(f"{site.imports / rest} is there already; move it away, or name other imports in the site")
    wanted = _held(manifest, databases)
    faults += missing_programs(list(wanted.values()))
    for name, own in wanted.items():
        kind = "sqlite" if own.file else "postgresql"
        if kind != manifest.databases[name].kind:
            other = manifest.databases[name].kind
            way = "name a database of that kind, or leave it out: launches fill a new one from the files"
            faults.append(f"{name} was {other} and would be {kind}, which cannot be turned into each other; {way}")
            continue
        try:
            tables = own.tables()
        except BadDatabaseError as error:
            faults.append(f"{name}: {error}")
            continue
        if tables or (own.file is not None and own.file.exists()):
            faults.append(f"{name}: the database {own.uri} must be empty, but has {len(tables)} tables; name a new one")
    return faults


def _held(manifest: Manifest, databases: Mapping[DatabaseName, Database]) -> dict[DatabaseName, Database]:
    """Those that the backup has."""
    return {name: own for name, own in databases.items() if name in manifest.databases}


def _damages(folder: Path, manifest: Manifest, tell: Tell) -> list[str]:
    """Every file is read. Names of a manifest never lead out of their folder."""
    faults: list[str] = []
    for done, (name, entry) in enumerate(manifest.files.items(), 1):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.parts[0] not in (STORAGE, IMPORTS, "databases"):
            faults.append(f"the backup names {name!r}, which lies outside of it")
            continue
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            faults.append(f"{folder / name}: {error.strerror or error}")
            continue
        if digest != entry.sha256:
            faults.append(f"{folder / name} is damaged: its content is not what was backed up")
        tell(done, len(manifest.files))
    lacking = [own.file for own in manifest.databases.values() if own.file not in manifest.files]
    return faults + [f"the backup lacks {name}" for name in lacking]


def _write(
    folder: Path, manifest: Manifest, site: Site, databases: Mapping[DatabaseName, Database], tell: Tell
) -> None:
    """PostgreSQL first, which takes all or nothing; the storage is put together beside its place."""
    loaded = _held(manifest, databases)
    for name, own in loaded.items():
        if own.file is None:
            load(own, folder / manifest.databases[name].file)
    aside = site.storage.with_name(f".{site.storage.name}.restoring-{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        files = [name for name in manifest.files if name.partition("/")[0] in (STORAGE, IMPORTS)]
        for done, name in enumerate(files, 1):
            kind, _, rest = name.partition("/")
            copy_file(folder / name, (aside if kind == STORAGE else site.imports) / rest)
            tell(done, len(files))
        for name, own in loaded.items():
            if own.file is not None:
                _sqlite(folder / manifest.databases[name].file, own.file, aside, manifest, site)
        with suppress(FileNotFoundError):
            site.storage.rmdir()
        aside.rename(site.storage)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sqlite(source: Path, final: Path, aside: Path, manifest: Manifest, site: Site) -> None:
    inside = final.is_relative_to(site.storage)
    target = aside / final.relative_to(site.storage) if inside else final
    copy_file(source, target)
    if source.name == "mlflow.db":
        move_artifacts(target, Path(manifest.storage) / "artifacts", site.storage / "artifacts")
