"""What a tracking server is told while runs are at work: in a thread of its own, so that no run waits for a server."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from sweeps.engine.tracking_connection import TrackingError
from sweeps.engine.watch import Display

_SHOWN_AFTER_S = 1.0
"""A shorter wait at the end needs no bar."""


class Recording:
    """Makes calls one after the other, in the order in which they were given; leaving it waits for all of them.

    After the first that does not reach the store no further one is made: the files hold everything, and the end of the
    sweep tries again. Left by an error, it makes none of those that wait. To be left before Ray is: where this thread
    frees something of Ray's while it shuts down, Ray ends the whole process.
    """

    def __init__(self, display: Display) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tracking")
        self._given = deque[Future[None]]()
        self._display, self.stopped_by = display, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def add(self, call: Callable[[], object]) -> None:
        """Makes the call when those before it are done. Raises what an earlier one raised, but for TrackingError."""
        while self._given and self._given[0].done():
            self._given.popleft().result()
        self._given.append(self._thread.submit(self._make, call))

    def _make(self, call: Callable[[], object]) -> None:
        if self.stopped_by:
            return
        try:
            call()
        except TrackingError as error:
            self.stopped_by = str(error)
            words = f"tracking stopped, training goes on: {error}"
            self._display.console.print(words, highlight=False, markup=False)

    def _wait(self) -> None:
        """The bar is that of a backlog: runs ended faster than the store could be told."""
        waiting = wait(self._given, timeout=_SHOWN_AFTER_S).not_done
        if waiting:
            count = self._display.counting("telling MLflow")
            for done, call in enumerate([own for own in self._given if own in waiting], start=1):
                call.result()
                count(done, len(waiting))
        for call in self._given:
            call.result()
