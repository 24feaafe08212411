"""Frames of a split that are decoded when the first clip is asked for: a measurement needs no train clips."""

from collections.abc import Callable
from threading import Lock

from fsar_core.data.frame_cache import FrameCache
from fsar_core.data.stored_clip import StoredClip


class FramesLater:
    """Opens its cache once, whichever thread asks first."""

    def __init__(self, opening: Callable[[], FrameCache]) -> None:
        self._opening, self._lock = opening, Lock()
        self._opened: FrameCache | None = None

    def clip(self, clip_name: str) -> StoredClip:
        """As the cache gives it. The first call may take as long as decoding does, and raise CacheError."""
        if self._opened is None:
            with self._lock:
                self._opened = self._opened or self._opening()
        return self._opened.clip(clip_name)
