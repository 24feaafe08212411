"""The ends of processes: some end by themselves meanwhile, some wait to be reaped by a parent that is not the test."""

import time
from collections.abc import Collection
from contextlib import suppress

import psutil

_EVERY_S = 0.01


def kill(processes: Collection[psutil.Process], limit_s: float = 60) -> dict[int, float]:
    """SIGKILL to those that are left, in this order; gives what ``ends`` gives."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return ends(processes, limit_s)


def ends(processes: Collection[psutil.Process], limit_s: float = 60) -> dict[int, float]:
    """Waits until they are dead: when each was, by process, in Unix time, at the latest.

    A process that its parent has not reaped yet is dead: some containers have a first process that takes its time.
    """
    when: dict[int, float] = {}
    deadline = time.monotonic() + limit_s
    while True:
        alive = [process for process in processes if process.pid not in when]
        when |= {process.pid: time.time() for process in alive if _dead(process)}
        if len(when) == len({process.pid for process in processes}):
            return when
        assert time.monotonic() < deadline, f"processes outlive what they belong to: {alive}"
        time.sleep(_EVERY_S)


def _dead(process: psutil.Process) -> bool:
    try:
        if not process.is_running():
            return True
        # A thread that has not ended yet still holds what the process has open, its locks too.
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True
