"""What stays of a finished run's checkpoints: the weights that its selection chose. A training cannot go on from it."""

import re
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from fsar_core.aside import to_disk
from fsar_core.checkpoint import latest_checkpoint, link

_KEPT = "selected"
"""Not named like a checkpoint: a training that finds no record starts anew, and its first checkpoint replaces this."""
_FILE = "best.safetensors"
_MADE_HERE = re.compile(r"step-\d{8}|\.[0-9a-f]{32}")


def finished_weights(root: Path) -> dict[str, Tensor] | None:
    """The weights to evaluate, of the newest checkpoint below ``root`` or of what ``slim`` left; None without both."""
    file = finished_weights_file(root)
    with suppress(FileNotFoundError):  # ``slim`` may remove it at this moment; then the kept ones are there
        return None if file is None else load_file(file)
    return load_file(root / _KEPT / _FILE)


def finished_weights_file(root: Path) -> Path | None:
    """The safetensors file of ``finished_weights``."""
    checkpoint = latest_checkpoint(root)
    places = [root / _KEPT] if checkpoint is None else [checkpoint, root / _KEPT]
    return next((place / _FILE for place in places if (place / _FILE).is_file()), None)


def keep_weights(root: Path, write: Callable[[Path], object]) -> None:
    """Those of the finished run are what ``write`` writes to the path that it is given."""
    root.mkdir(parents=True, exist_ok=True)
    aside = root / f".{uuid.uuid4().hex}"
    aside.mkdir()
    try:
        write(aside / _FILE)
        for written in (aside / _FILE, aside):
            to_disk(written)
        if (root / _KEPT).exists():
            (root / _KEPT).rename(root / f".{uuid.uuid4().hex}")
        aside.rename(root / _KEPT)
        to_disk(root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def slim(root: Path) -> None:
    """Keeps the weights and removes everything that only a training reads. Only for finished runs that nobody is at."""
    file = finished_weights_file(root)
    if file is not None and file.parent.name != _KEPT:
        keep_weights(root, lambda path: link(file, path))
    for path in superfluous(root, finished=True):
        shutil.rmtree(path)


def superfluous(root: Path, *, finished: bool) -> list[Path]:
    """Checkpoints that are not needed, and half-written ones; of an unfinished run all but the newest."""
    if not root.is_dir():
        return []
    newest = None if finished and finished_weights_file(root) is not None else latest_checkpoint(root)
    found = (path for path in root.iterdir() if _MADE_HERE.fullmatch(path.name) and path != newest)
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())
