"""Reading the newest checkpoint of a training that may be replacing it at this moment."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from fsar_core.checkpoint import latest_checkpoint

T = TypeVar("T")
_AGAIN = 4


def of_newest(checkpoints: Path, read: Callable[[Path], T]) -> T | None:
    """What ``read`` gives of it; None without any. Where it goes away meanwhile, the one that took its place is read.

    Raises FileNotFoundError for one that stays but lacks a file.
    """
    for _ in range(_AGAIN):
        with suppress(FileNotFoundError):
            return _read(checkpoints, read)
    return _read(checkpoints, read)


def _read(checkpoints: Path, read: Callable[[Path], T]) -> T | None:
    newest = latest_checkpoint(checkpoints)
    return None if newest is None else read(newest)
