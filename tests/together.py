"""The same work by several threads that all begin in one moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")
_DRIVERS = 6


def together(work: Callable[[], T]) -> list[T]:
    start = Barrier(_DRIVERS)

    def begun(_: int) -> T:
        start.wait()
        return work()

    with ThreadPoolExecutor(_DRIVERS) as drivers:
        return list(drivers.map(begun, range(_DRIVERS)))
