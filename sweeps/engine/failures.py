"""Why a run failed: what kind of failure it was, where, and how far the run had come."""

import errno
import os
import re
import time
import traceback
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field

from fsar_core.frozen import Frozen
from sweeps.engine.credentials import hide_credentials

Kind = Literal["bug", "oom", "disk", "preempted", "needs"]
"""``oom``: no memory, on the GPU or the machine. ``disk``: one was full, read-only or away. ``preempted``: its worker
or node died too often. ``needs``: not started, a run that it needs failed. ``bug``: anything else, and it would happen
again."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""From what only a person can mend to what mends itself."""

_NO_MEMORY = re.compile(
    r"out of memory\b|\bMemoryError\b|can(no|')t allocate memory|not enough memory|\bOutOfMemoryError\b|_ALLOC_FAILED\b"
    r"|running low on memory",  # Ray's memory monitor
    re.IGNORECASE,
)
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})
_DISK_WORDS = re.compile("|".join(re.escape(os.strerror(number)) for number in sorted(_DISK)))
"""Libraries in other languages tell them in words alone."""
DISK_TODO = (
    "make room (`fsar gc`) or mend the disk, then launch again: what is recorded is whole, the rest goes on from its "
    "checkpoints"
)
_RAISED = re.compile(r"^[ \t]*Traceback \(most recent call last\):", re.MULTILINE)


class KilledForMemoryError(Exception):
    """Ray killed a worker because its machine ran out of memory, and Tune gave up the whole launch."""

    def __init__(self, told: str, at_work: Iterable[str] = ()) -> None:
        first = told.strip().splitlines()[0] if told.strip() else "no reason given"
        super().__init__(f"{first}; give runs more of the machine in the site file, then launch again: nothing is lost")
        self.told = told
        self.at_work = tuple(at_work)
        """Keys of the runs that were being carried out; Ray does not say which of them it was."""


class StorageLostError(Exception):
    """What all runs are recorded in cannot be written any more."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; no further run is started; {DISK_TODO}")


class StudyLostError(Exception):
    """The database of a study was lost while a search went on."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"the Optuna database {hide_credentials(uri)} must stay reachable and writable, but: {reason}; start it "
            "again, then launch again: trainings are on disk, and the study is told of those that it does not know"
        )


class Failure(Frozen):
    """Kept in the run's folder until the run succeeds. Older ones hold a traceback alone."""

    kind: Kind = "bug"
    traceback: str
    """Of Python; of a worker that died, what Ray says of it."""
    host: str | None = None
    device: str | None = None
    time_ms: int | None = None
    """Unix time, like ``started_ms``."""
    started_ms: int | None = None
    """Of the start that failed."""
    step: int | None = None
    """Optimiser steps that were done; the run goes on from its newest checkpoint, which may be older."""
    attempts: int = Field(default=1, ge=0)
    """Times in a row that the run failed in this way under this code; 0 where it was not even started."""
    git_commit: str | None = None
    needs: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ...] = ()
    """Of kind ``needs``: keys of the runs that failed."""
    alone: bool = False
    """The run had a GPU, or without GPUs a whole node, for itself."""
    node: str | None = None
    """Ray's id of the node on which it failed."""

    def after(self, before: "Failure | None") -> "Failure":
        """The same, with the attempts counted on from the failure before."""
        if before is None or not self.attempts or (before.kind, before.git_commit) != (self.kind, self.git_commit):
            return self
        return self.model_copy(update={"attempts": before.attempts + self.attempts})

    def reason(self) -> str:
        """What went wrong, in a line."""
        *_, last = _RAISED.split(self.traceback)
        lines = [line for line in last.splitlines() if line.strip()]
        said = [line for line in lines if not line[0].isspace()]  # frames are indented
        return (said or lines or ["no reason given"])[0].strip()


def failure_of(error: BaseException, **where: str | int | bool | None) -> Failure:
    """Of an error that a run raised; ``where`` are the fields that only the caller knows."""
    text = hide_credentials("".join(traceback.format_exception(error)))
    return Failure.model_validate(
        {"kind": kind_of(error), "traceback": text, "time_ms": time.time_ns() // 1_000_000, **where}
    )


def failure_of_death(told: str, **where: str | int | bool | None) -> Failure:
    """Of a worker that Ray gave up; ``told`` is what Ray wrote of it."""
    kind: Kind = "oom" if _NO_MEMORY.search(told) else "bug" if _RAISED.search(told) else "preempted"
    return Failure.model_validate(
        {"kind": kind, "traceback": hide_credentials(told), "time_ms": time.time_ns() // 1_000_000, **where}
    )


def not_started(needs: list[str]) -> Failure:
    """Of a run whose needs failed; ``needs`` are their keys."""
    return Failure(
        kind="needs",
        traceback=f"not started: it needs {needs}, which failed",
        time_ms=time.time_ns() // 1_000_000,
        attempts=0,
        needs=tuple(needs),
    )


def kind_of(error: BaseException) -> Kind:
    """``oom`` as well where memory ran out first and something else was raised on that; so with ``disk``."""
    chain = list(_chain(error))
    if any(_no_memory(own) for own in chain):
        return "oom"
    return "disk" if any(no_disk(own) for own in chain) else "bug"


def no_disk(error: BaseException) -> bool:
    """Whether it says that a disk was full, read-only or away."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _DISK
    return isinstance(error, Exception) and _DISK_WORDS.search(str(error)) is not None


def _no_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
