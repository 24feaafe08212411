"""One start of a run on this machine: said in the run's log, and kept as a failure when it ends with an error."""

import logging
import os
import platform
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch

from sweeps.engine.failures import failure_of
from sweeps.engine.records import RunFolder

_log = logging.getLogger(__name__)


@dataclass
class Start:
    """Where and when a worker took up a run, and how far it came."""

    git_commit: str
    started_ms: int
    device: str | None = None
    step: int = 0
    """Optimiser steps that are done."""
    _told: bool = False

    def log(self) -> None:
        """Only the first call says anything; made before the first thing that is done."""
        if not self._told:
            _log.info(
                "started on %s, %s, process %d, code %s", platform.node(), self.device, os.getpid(), self.git_commit
            )
            self._told = True


@contextmanager
def failure_kept(
    folder: RunFolder, git_commit: str, *, alone: bool = False, node: str | None = None
) -> Generator[Start]:
    """Writes an error that leaves it to the run's folder and log, and raises it again. ``alone``, ``node``: as of a
    failure."""
    start = Start(git_commit, now_ms())
    try:
        yield start
    except Exception as error:
        failure = failure_of(
            error,
            host=platform.node(),
            device=start.device,
            started_ms=start.started_ms,
            step=start.step,
            git_commit=git_commit,
            alone=alone,
            node=node,
        )
        _log.error("failed (%s) after step %d: %s", failure.kind, start.step, failure.reason())
        with suppress(OSError):  # the driver finds out that nothing can be written there, and says so
            folder.write_failure(failure)
        raise


def device_name(device: torch.device) -> str:
    """Of the GPU in use, or of the CPU."""
    return (
        torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()} CPU, {os.cpu_count()} cores"
    )


def now_ms() -> int:
    """Unix time."""
    return time.time_ns() // 1_000_000
