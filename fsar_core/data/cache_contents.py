"""What a frame cache holds, and under which name: all that its pixels depend on, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Self

from fsar_core.data.clip_index import Clip, ClipIndex
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import Split
from fsar_core.data.kept_frames import EVERY_FRAME, Kept, kept_for
from fsar_core.data.resize import Resize
from fsar_core.data.video import has_decord
from fsar_core.frozen import content_id

LAYOUT = 2
"""Raise it when files or pixels of a cache change their meaning."""


class CacheError(Exception):
    """The cache cannot be made or is damaged; says where and what to do."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Frames of the clips of a split, as they are stored."""

    name: str
    """For messages: the data set and its split."""
    clips: tuple[Clip, ...]
    resize: Resize
    kept: Kept = EVERY_FRAME
    jpeg: int | None = None
    """Quality; None: raw pixels."""

    @classmethod
    def of_split(cls, index: ClipIndex, split: Split, config: DataConfig) -> Self:
        """What runs with this ``config`` read of a split.

        Raises CacheError where a sampling needs a frame rate and a clip has none.
        """
        name, clips, kept = f"{index.dataset} {split}", index.of(split), kept_for(split, config)
        unknown = [clip.name for clip in clips if not clip.fps > 0] if kept.by_rate() else []
        if unknown:
            raise CacheError(
                f"{name}: {len(unknown)} of {len(clips)} clips have no frame rate ({', '.join(unknown[:3])} ...), but "
                f"{kept.name()} needs it; give it where the data set is imported, or choose another frame sampling"
            )
        return cls(name=name, clips=clips, resize=config.resize, kept=kept, jpeg=config.jpeg)

    @cached_property
    def pixels_id(self) -> str:
        """Names the videos, the size, the coding, who decodes and resizes, and the layout; not which frames are kept.
        The frame rate is in it since some samplings choose by it."""
        clips = (text for clip in self.clips for text in (clip.name, clip.content, str(clip.frames), repr(clip.fps)))
        size = (self.resize.mode, str(self.resize.size), str(self.jpeg))
        return content_id(*size, readers(), str(LAYOUT), *clips)

    def folder(self, root: Path) -> Path:
        """Where a cache of exactly this lies."""
        return layout_folder(root) / self.pixels_id / self.kept.name()

    def raw_bytes(self) -> int:
        """Of the kept frames, as raw pixels."""
        return sum(self.clip_bytes(clip) for clip in self.clips)

    def clip_bytes(self, clip: Clip) -> int:
        """As ``raw_bytes``, of one clip."""
        height, width = self.resize.shape(clip.height, clip.width)
        return len(self.kept.frames_of(clip)) * height * width * 3

    def frames(self) -> int:
        """How many are kept."""
        return sum(len(self.kept.frames_of(clip)) for clip in self.clips)


def layout_folder(root: Path) -> Path:
    """Holds all caches that this version can use."""
    return root / f"layout{LAYOUT}"


def readers() -> str:
    """Who turns files into resized pixels."""
    decord = f"decord {version('decord')} " if has_decord() else ""
    return f"{decord}av {version('av')} pillow {version('pillow')}"


def contents_of(index: ClipIndex, config: DataConfig, splits: Sequence[Split]) -> tuple[Contents, ...]:
    """What runs with this ``config`` read of these splits."""
    return tuple(Contents.of_split(index, split, config) for split in splits)
