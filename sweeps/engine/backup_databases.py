"""Databases into a backup and out of it: SQLite by its own way of copying a file in use, PostgreSQL by its programs."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sweeps.engine.backup_files import Entry, entry_of
from sweeps.engine.credentials import hide_credentials
from sweeps.engine.databases import Database
from sweeps.engine.site import BadRequest

_DEBIAN = "/usr/lib/postgresql"
"""Where Debian keeps the programs of each version, off the PATH."""
_BUSY_S = 60


def dump(own: Database, target: Path) -> Entry:
    """All of it as it is at one moment, whoever writes meanwhile."""
    if own.file is not None:
        return copy_sqlite(own.file, target)
    _prepared(target)
    shape = ("--format=custom", "--no-owner", "--no-privileges")
    _run(own, "pg_dump", *shape, f"--file={target}", f"--dbname={own.libpq()}")
    return entry_of(target)


def copy_sqlite(source: Path, target: Path) -> Entry:
    """Raises BadRequest for a file that is damaged or no database."""
    _prepared(target)
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            faults = [row[0] for row in new.execute("PRAGMA quick_check")]
    except sqlite3.Error as error:
        raise BadRequest([f"{source} must be a readable SQLite database, but: {error}"]) from error
    if faults != ["ok"]:
        raise BadRequest([f"{source} is damaged: {faults[0]}"])
    return entry_of(target)


def load(own: Database, source: Path) -> None:
    """Into an empty PostgreSQL database, all or nothing."""
    whole = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    _run(own, "pg_restore", *whole, f"--dbname={own.libpq()}", str(source))


def move_artifacts(file: Path, old: Path, new: Path) -> None:
    """MLflow keeps whole paths of artefacts in its own database, where they are not behind a server."""
    changes = (("experiments", "artifact_location"), ("runs", "artifact_uri"))
    before, after = f"{old.as_uri()}/", f"{new.as_uri()}/"
    with closing(sqlite3.connect(file)) as database, database:
        for table, column in changes:
            text = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
            database.execute(text, (after, len(before) + 1, len(before), before))


def missing_programs(databases: list[Database]) -> list[str]:
    """Faults: what is not there to dump and restore these."""
    needed = ("pg_dump", "pg_restore") if any(own.file is None for own in databases) else ()
    return [
        f"PostgreSQL's program {name} must be there: apt-get install postgresql-client"
        for name in needed
        if program(name) is None
    ]


def program(name: str) -> str | None:
    """The newest: it reads the databases of older servers too."""
    found = sorted(Path(_DEBIAN).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


def _prepared(target: Path) -> None:
    """Readable by its owner alone: a database has the accounts of its server."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _run(own: Database, name: str, *arguments: str) -> None:
    command = [program(name) or name, "--no-password", *arguments]
    environment = os.environ | own.environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        told = hide_credentials(done.stderr).strip() or f"exit code {done.returncode}"
        raise BadRequest([f"{name} of {hide_credentials(own.uri)}: {line}" for line in told.splitlines()[:5]])
