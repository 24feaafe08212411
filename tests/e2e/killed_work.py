"""What kills take from trainings: read from their logs and their checkpoints."""

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from fsar_core.checkpoint import checkpoint_step, latest_checkpoint
from sweeps.engine.run_log import LOG

_STARTED = re.compile(r"started on .*, process (\d+), code")
_BEGAN = re.compile(r"(?:begins|goes on) at step (\d+) of")
_SAVED = re.compile(r"^(\S+ \S+)Z .*checkpoint of step (\d+) saved in (\S+) s$", re.MULTILINE)
_TRAINED = re.compile(r"trained in \d+ s")


@dataclass(frozen=True)
class Work:
    """Of a training that is not finished, what its newest start has done."""

    key: str
    pid: int
    """Of its worker."""
    saved: int
    """Checkpoints of this start."""
    step: int
    """Of the newest checkpoint, 0 without any."""
    saved_at: float
    """Unix time from which on nothing is saved: of the log's newest line, which says that the newest checkpoint is
    written; before the first of this start, that it began or has done a step."""


def works(storage: Path) -> list[Work]:
    """By run, also of starts that have ended."""
    folders = [log.parent for log in (storage / "runs").glob(f"*/{LOG}") if not (log.parent / "run.json").exists()]
    return [work for folder in folders if (work := _work(folder)) is not None]


def _work(folder: Path) -> Work | None:
    *_, pid, last = ("", "", *_STARTED.split((folder / LOG).read_text()))
    checkpoint = latest_checkpoint(folder / "checkpoints")
    if not pid or not _BEGAN.search(last):
        return None
    return Work(
        key=folder.name,
        pid=int(pid),
        saved=len(_SAVED.findall(last)),
        step=0 if checkpoint is None else checkpoint_step(checkpoint),
        saved_at=(folder / LOG).stat().st_mtime,
    )


def begun_at(folder: Path) -> list[int]:
    """The step of each start of a training."""
    return [int(step) for step in _BEGAN.findall((folder / LOG).read_text())]


def times_trained(folder: Path) -> int:
    """How often a training came to its end."""
    return len(_TRAINED.findall((folder / LOG).read_text()))


def intervals(folder: Path) -> list[tuple[float, int]]:
    """Between two checkpoints of one start of a training: seconds, full ones, and optimiser steps."""
    found: list[tuple[float, int]] = []
    for start in _BEGAN.split((folder / LOG).read_text())[2::2]:
        saved = [(datetime.fromisoformat(when), int(step)) for when, step, _ in _SAVED.findall(start)]
        found += [((then - now).total_seconds(), last - first) for (now, first), (then, last) in pairwise(saved)]
    return found


def saving(folder: Path) -> list[float]:
    """How many seconds each checkpoint of a training took."""
    return [float(seconds) for _, _, seconds in _SAVED.findall((folder / LOG).read_text())]


@dataclass(frozen=True)
class Lost:
    """What a kill took from a training."""

    key: str
    step: int
    """From which it has to go on."""
    seconds: float
    """Its worker's work since then."""


def lost(storage: Path, ended: dict[int, float]) -> list[Lost]:
    """``ended``: by process, when a worker died, in Unix time."""
    return [Lost(work.key, work.step, ended[work.pid] - work.saved_at) for work in works(storage) if work.pid in ended]
