"""The log of a run: what its workers did, over all restarts, in a text file of bounded size in the run's folder."""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from sweeps.engine.credentials import hide_credentials

LOG = "log.txt"
_OURS = "sweeps"
_BYTES = 256 * 1024
_BLOCK = 16 * 1024


@contextmanager
def logged(folder: Path) -> Generator[None]:
    """Writes what this package logs, and warnings of everyone, to the log in ``folder``; the file is made with the
    first line. Older lines move to ``log.txt.1`` when the file is full, and older ones than those are dropped.

    One at a time in a process.
    """
    handler = RotatingFileHandler(folder / LOG, maxBytes=_BYTES, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(_Line("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%SZ"))
    handler.addFilter(_counts)
    root, ours = logging.getLogger(), logging.getLogger(_OURS)
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        root.removeHandler(handler)
        handler.close()


class _Line(logging.Formatter):
    """In UTC, for the nodes of a cluster may disagree; without credentials of URIs."""

    converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return hide_credentials(super().format(record)).rstrip()


def _counts(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.startswith(f"{_OURS}.")


def last_lines(folder: Path, count: int) -> list[str]:
    """The end of a run's log, also where it has just moved on to a new file; nothing where there is none."""
    lines: list[str] = []
    for name in (LOG, f"{LOG}.1"):
        if len(lines) < count:
            lines = _end(folder / name) + lines
    return lines[-count:]


def _end(path: Path) -> list[str]:
    """The last lines that fit into a block."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _BLOCK))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return lines[1:] if size > _BLOCK else lines
