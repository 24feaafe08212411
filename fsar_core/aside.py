"""Files that appear whole or not at all: written beside their place under another name, then renamed."""

import os
import re
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = ".aside-"
_NAME = re.compile(rf".+{re.escape(_MARK)}\d+-[0-9a-f]{{8}}")
_ABANDONED_S = 3600.0


@contextmanager
def written_aside(final: Path) -> Generator[Path]:
    """Gives the path to write to; on leaving without an exception it replaces ``final``, durably. Any number of
    processes may write the same ``final``: the last one wins, and readers that have the old one open keep it."""
    aside = final.with_name(f"{final.name}{_MARK}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(final)
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            aside.unlink()


def in_progress(name: str) -> bool:
    """Whether a file of this name is one that a writer has not finished, or never will."""
    return _NAME.fullmatch(name) is not None


def remove_abandoned(folder: Path) -> None:
    """Removes what killed writers left, old enough that no live one can be at it."""
    for path in abandoned(folder):
        path.unlink(missing_ok=True)


def abandoned(folder: Path) -> Iterator[Path]:
    """What ``remove_abandoned`` would remove."""
    for path in folder.glob(f"*{_MARK}*"):
        with suppress(FileNotFoundError):
            if _NAME.fullmatch(path.name) and time.time() - path.stat().st_mtime > _ABANDONED_S:
                yield path


def to_disk(path: Path) -> None:
    """A file's content or a folder's entries, before anything older is removed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
