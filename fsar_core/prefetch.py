"""Items made in a thread while those before them are used: the same ones, in the same order."""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """An iterator, to be used in a ``with`` block, at whose end its thread has ended.

    What making an item raises is raised where that item is asked for. ``items`` must not depend on what is done with
    those before, and must draw from no generator that others use.
    """

    def __init__(self, items: Iterator[Item], depth: int) -> None:
        """``depth``: items that are made ahead; 0: none, and no thread."""
        self._items, self._depth = items, depth
        self._ready: deque[Item] = deque()
        self._changed = threading.Condition()
        self._making = threading.Lock()
        self._ended = self._left = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._make, name="prefetch", daemon=True) if depth else None

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        if self._thread is None:
            return next(self._items)
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            if self._ready:
                self._changed.notify_all()
                return self._ready.popleft()
        raise StopIteration if self._error is None else self._error

    @contextmanager
    def paused(self) -> Generator[None]:
        """No item is being made within it: what makes them may be used elsewhere, though it is made for one thread."""
        with self._making:
            yield

    def _make(self) -> None:
        try:
            while self._wanted():
                with self._making:
                    item = next(self._items)
                with self._changed:
                    self._ready.append(item)
                    self._changed.notify_all()
        except StopIteration:
            pass
        except BaseException as error:  # whatever it is, it belongs to the one who asks for the item
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wanted(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._left or len(self._ready) < self._depth)
            return not self._left
