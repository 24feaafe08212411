"""Parts of a split: the clips of a test that are short enough, and fewer clips of each train class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_core.data.clip_index import Clip
from fsar_core.data.config import Limit
from fsar_core.seeds import generator

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Clips of a split from which episodes can be drawn."""

    labels: tuple[str, ...]
    """The classes that can give episodes, in their order in the split."""
    members: tuple[NDArray[np.int64], ...]
    """Positions of their clips in the split."""
    too_small: dict[str, int]
    """Classes that are left out because they have fewer than ``per_class`` such clips, with how many they have."""
    per_class: int = 1

    def clips(self) -> int:
        """How many there are in all."""
        return sum(map(len, self.members))

    def text(self) -> str:
        """How large it is, and what is left out."""
        text = f"{self.clips():,} clips of {len(self.labels)} classes"
        if not self.too_small:
            return text
        left_out = ", ".join(f"{label!r} ({count})" for label, count in self.too_small.items())
        return f"{text}; left out for having fewer than {self.per_class}: {left_out}"


def no_longer_than(clips: Sequence[Clip], max_seconds: float, *, per_class: int) -> Subset:
    """The clips that last at most ``max_seconds``, of the classes that have ``per_class`` of them.

    A class with fewer gives no episode. It is left out, not refused: how long its videos are is not the user's choice,
    and it is left out for every method alike. Raises ValueError where the frame rate of a clip is not known.
    """
    unknown = [clip.name for clip in clips if not clip.fps > 0]
    if unknown:
        named = ", ".join(unknown[:_SHOWN]) + (", ..." if len(unknown) > _SHOWN else "")
        raise ValueError(
            f"max_seconds = {max_seconds:g} needs the frame rate of every {clips[0].split} clip, but {len(unknown)} of "
            f"{len(clips)} have none ({named}); give it where the data set is imported, or leave max_seconds out"
        )
    found: dict[str, list[int]] = {label: [] for label in sorted({clip.label for clip in clips})}
    for position, clip in enumerate(clips):
        if clip.frames / clip.fps <= max_seconds:
            found[clip.label].append(position)
    kept = {label: np.array(own, dtype=np.int64) for label, own in found.items() if len(own) >= per_class}
    return Subset(
        labels=tuple(kept),
        members=tuple(kept.values()),
        too_small={label: len(own) for label, own in found.items() if label not in kept},
        per_class=per_class,
    )


def limited(clips: Sequence[Clip], limit: Limit | None) -> tuple[Clip, ...]:
    """As many clips of each class as ``limit`` allows, in the order that they had."""
    if limit is None:
        return tuple(clips)
    by_class: dict[str, list[int]] = {}
    for position, clip in enumerate(clips):
        by_class.setdefault(clip.label, []).append(position)
    kept = [
        position
        for label, own in by_class.items()
        for position in generator(limit.seed, f"limited clips of {label}").permutation(own)[: limit.per_class]
    ]
    return tuple(clips[position] for position in sorted(kept))
