"""Where a site's files lie: room, rights, and whether locks hold there."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from fsar_core.aside import written_aside
from sweeps.engine.doctor import GIB, Finding, fail, ok, warn
from sweeps.engine.site import Site

_LEAST_GIB, _FEW_GIB = 1.0, 10.0
_FEW_FILES = 100_000
_SLOW_S = 0.5
_LIMIT_S = 30
_SECOND = "import filelock, sys\nfilelock.FileLock(sys.argv[1], timeout=0).acquire()"
_HELD, _FREE = 1, 0
MARK = ".fsar-doctor-"


def disks(site: Site) -> Iterator[Finding]:
    """Room and rights, of what is written; and of /tmp, where Ray keeps its sessions."""
    places = {"storage": site.storage, "cache": site.cache, "temporary files": Path("/tmp")}
    for name, path in places.items():
        # What may not be entered is as good as not there.
        existing = next(own for own in (path, *path.parents) if os.access(own, os.F_OK))
        told = f"{path}: {shutil.disk_usage(existing).free / GIB:.1f} GiB free"
        if not os.access(existing, os.W_OK | os.X_OK):
            yield fail(name, f"{existing} cannot be written", f"another {name} in the site, or rights for this user")
        else:
            yield _room(name, existing, told)


def _room(name: str, path: Path, told: str) -> Finding:
    free, counts = shutil.disk_usage(path).free / GIB, os.statvfs(path)
    todo = "`fsar gc` frees what is not needed, `fsar plan` tells what tables take"
    if free < _LEAST_GIB:
        return fail(name, told, todo)
    if free < _FEW_GIB:
        return warn(name, told, todo)
    if counts.f_files and counts.f_favail < _FEW_FILES:
        return warn(name, f"{told}, but for {counts.f_favail:,} files only", todo)
    return ok(name, told)


def locks(site: Site) -> Iterator[Finding]:
    """Two drivers of a sweep, and two workers of a run, are kept apart by locks of files in ``storage``."""
    try:
        with marked(site.storage, "lock") as path:
            seconds = _durable(path)
            states = [_other_takes(path)]
            with FileLock(path, timeout=_LIMIT_S):
                states.append(_other_takes(path))
    except OSError as error:
        told = f"{error.filename or site.storage}: {error.strerror or error}"
        yield fail("locks", told, "storage must be writable for this user")
        return
    todo = "mount it with locks (NFS: version 4, without nolock), or use another storage"
    if states != [_FREE, _HELD]:
        yield fail("locks", f"on {site.storage}, a second process takes a lock that is held, or none at all", todo)
    elif seconds > _SLOW_S:
        told = f"hold on {site.storage}; but a small file takes {seconds:.1f} s to be durable"
        yield warn("locks", told, "many short runs will be slow there")
    else:
        yield ok("locks", f"hold on {site.storage}; a small file is durable in {1000 * seconds:.0f} ms")


def _durable(path: Path) -> float:
    """Seconds for a file written aside, as every result is."""
    began = time.monotonic()
    with written_aside(path) as aside:
        aside.write_bytes(b"x")
    return time.monotonic() - began


def _other_takes(path: Path) -> int:
    """Exit code of another process that asks for the lock."""
    command = [sys.executable, "-c", _SECOND, str(path)]
    return subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False).returncode


@contextmanager
def marked(folder: Path, what: str) -> Generator[Path]:
    """The name of a file that is there for the check only; ``folder`` goes as well if it was made for it."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{MARK}{what}-{secrets.token_hex(6)}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()
