"""Mask files that were read lately, so that drawing a clip again does not inflate its file again."""

from collections import OrderedDict

from fsar_core.data.mask_files import StoredMasks

Stamp = tuple[int, int]
"""Time of the last change in nanoseconds, and bytes: another stamp, another file."""


class RecentMasks:
    """As many files as fit, as they are stored: bits stay bits. The one that was used longest ago goes first."""

    def __init__(self, limit: int) -> None:
        """``limit`` in bytes."""
        self._limit = limit
        self._held: OrderedDict[str, tuple[Stamp, StoredMasks]] = OrderedDict()
        self._bytes = 0

    def get(self, name: str, stamp: Stamp) -> StoredMasks | None:
        """None unless the file of this stamp is held."""
        held = self._held.get(name)
        if held is None or held[0] != stamp:
            return None
        self._held.move_to_end(name)
        return held[1]

    def put(self, name: str, stamp: Stamp, masks: StoredMasks) -> None:
        """Takes the place of what was held under this name; a file above the limit is not held."""
        self._drop(name)
        if masks.stored.nbytes > self._limit:
            return
        self._held[name] = stamp, masks
        self._bytes += masks.stored.nbytes
        while self._bytes > self._limit:
            self._drop(next(iter(self._held)))

    def _drop(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            self._bytes -= held[1].stored.nbytes
