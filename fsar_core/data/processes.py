"""Work spread over processes that survives a worker being stuck or crashed in a decoder's native code."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called as progress(done, total)."""


def silent(done: int, total: int) -> None:
    """The progress that tells nobody."""


@dataclass(frozen=True)
class Lost:
    """Stands for the result of an item whose worker was killed, crashed, or was over the time limit."""

    reason: str


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int, limit_s: int
) -> Iterator[tuple[Item, Result | Lost]]:
    """Results as they come, in any order. ``function`` must be importable; an exception of it ends the whole.

    ``limit_s`` is per item, in whole seconds; the kernel ends the worker, so that no native code can hold it up.
    Workers start afresh (never forked from a parent whose torch or reader threads hold locks).
    """
    waiting = deque(items)
    while waiting:
        suspects: list[Item] = []
        yield from _until_broken(function, waiting, workers, limit_s, suspects)
        if suspects:
            _demand_that_workers_start()
        for suspect in suspects:  # one of them broke the pool: each gets a pool of its own to tell which
            alone: list[Item] = []
            yield from _until_broken(function, deque([suspect]), 1, limit_s, alone)
            if alone:
                yield suspect, Lost(f"reading it crashed its process or took longer than {limit_s} s")


def one_by_one(
    function: Callable[[Item], Result], items: Sequence[Item], *, limit_s: float
) -> Iterator[tuple[Item, Result | Lost]]:
    """As ``spread`` for a handful of items, in this process: a stuck thread is left behind, a crash is fatal."""
    for item in items:
        yield item, _in_thread(function, item, limit_s)


def within_limit(function: Callable[[Item], Result], item: Item, limit_s: int) -> Result:
    """The result, or the end of this process after ``limit_s`` whole seconds. To be called in its main thread."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the default action ends the process
    signal.alarm(limit_s)
    try:
        return function(item)
    finally:
        signal.alarm(0)


def _until_broken(
    function: Callable[[Item], Result], waiting: deque[Item], workers: int, limit_s: int, suspects: list[Item]
) -> Iterator[tuple[Item, Result]]:
    """Takes from ``waiting``; when the pool breaks, ends with the items in flight in ``suspects``."""
    # no more in flight than workers: all suspects were really being worked on
    with ProcessPoolExecutor(
        min(workers, len(waiting)), mp_context=get_context("spawn"), initializer=_end_with_the_parent
    ) as pool:
        running: dict[Future[Result], Item] = {}
        while waiting or running:
            try:
                while waiting and len(running) < workers:
                    running[pool.submit(within_limit, function, waiting[0], limit_s)] = waiting[0]
                    waiting.popleft()
            except BrokenProcessPool:
                suspects.extend(running.values())
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    suspects.extend(running.values())
                    return
                yield running.pop(future), result


def _end_with_the_parent() -> None:
    """The pool's workers would wait for orders for ever after a parent that was killed."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _demand_that_workers_start() -> None:
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "worker processes end while they start: they import the main script, which must keep its work below"
            " `if __name__ == '__main__':`; see the first traceback above, or use one worker"
        ) from error


def _in_thread(function: Callable[[Item], Result], item: Item, limit_s: float) -> Result | Lost:
    answer: Future[Result] = Future()

    def work() -> None:
        try:
            answer.set_result(function(item))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(timeout=limit_s)
    except TimeoutError:
        return Lost(f"reading it took longer than {limit_s:g} s")
