"""What is made of a table's result is made once: four formats and MLflow show the same words."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from sweeps.engine.results import TableResult

T = TypeVar("T")


def once(make: Callable[[TableResult], T]) -> Callable[[TableResult], T]:
    """``make``, whose answer is kept as long as the result that it is of: neither ever changes."""
    kept: WeakKeyDictionary[TableResult, T] = WeakKeyDictionary()

    @wraps(make)
    def made(result: TableResult) -> T:
        if result not in kept:
            kept[result] = make(result)
        return kept[result]

    return made
