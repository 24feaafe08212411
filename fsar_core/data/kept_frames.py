"""Which frames of its clips a cache holds: those that the run's sampling can ask for, and no others."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fsar_core.data.clip_index import Clip
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import Split
from fsar_core.data.frame_sampling import FrameSampling, Indices, reachable

_ALL = "all"


@dataclass(frozen=True)
class Kept:
    """All that these samplings, each with its number of frames, can ask for; where there are none: every frame."""

    samplings: tuple[tuple[FrameSampling, int], ...] = ()

    @classmethod
    def of_samplings(cls, samplings: Iterable[FrameSampling], frames: int) -> "Kept":
        """``segment-random`` reaches all but the last few frames of a clip, whatever ``frames``: it keeps every frame,
        and runs with other numbers of frames share the cache."""
        asked = set(samplings)
        return cls() if "segment-random" in asked else cls(tuple((name, frames) for name in sorted(asked)))

    def name(self) -> str:
        """A folder's name that says it, e.g. ``inner-linspace-8+jitter-ends-8``."""
        return "+".join(sorted(self._parts()))

    def is_part_of(self, name: str) -> bool:
        """Whether a cache of that ``name`` holds all of it."""
        parts = set(name.split("+"))
        return _ALL in parts or self._parts() <= parts

    def by_rate(self) -> bool:
        """Whether it depends on the clips' frames per second."""
        return any(name.startswith("strided") for name, _ in self.samplings)

    def frames_of(self, clip: Clip) -> Indices:
        """Numbers of the kept frames, increasing."""
        return _reached(self.samplings, clip.frames, clip.fps) if self.samplings else np.arange(clip.frames)

    def _parts(self) -> set[str]:
        return {f"{name}-{frames}" for name, frames in self.samplings} or {_ALL}


@lru_cache(maxsize=1 << 14)  # clips of equal length are many
def _reached(samplings: tuple[tuple[FrameSampling, int], ...], total: int, fps: float) -> Indices:
    found = np.unique(np.concatenate([reachable(name, total, frames, fps) for name, frames in samplings]))
    found.setflags(write=False)
    return found


EVERY_FRAME = Kept()


def kept_for(split: Split, config: DataConfig) -> Kept:
    """What a run needs of a split. Train clips are also seen as a test sees them: held-out ones select a run."""
    if split == "train":
        return Kept.of_samplings((config.train_sampling, config.test_sampling), config.frames)
    return Kept.of_samplings((config.test_sampling,), config.frames)
