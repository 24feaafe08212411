"""The videos that a list names, and the error that says all that is wrong with lists."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fsar_core.data.folder_scan import Split

Format = Literal[
    "class/video",
    "number/video",
    "label//path",
    "path frames number",
    "path number",
    "class map",
    "class folders",
    "official annotations",
]
_SHOWN = 50


class BadLists(Exception):  # noqa: N818 - reads as what it is where it is raised
    """All that is wrong with lists or annotations, one line per fault."""

    def __init__(self, what: str, lines: Sequence[str]) -> None:
        super().__init__(what, tuple(lines))
        self.what = what
        self.lines = tuple(lines)

    def __str__(self) -> str:
        shown = "\n".join(f"  {line}" for line in self.lines[:_SHOWN])
        more = f"\n  and {len(self.lines) - _SHOWN} more" if len(self.lines) > _SHOWN else ""
        return f"{self.what} cannot be used, {len(self.lines)} fault{'s' * (len(self.lines) > 1)}:\n{shown}{more}"


@dataclass(frozen=True, slots=True)
class Listed:
    split: Split
    label: str
    """The official class name where the data set is a known benchmark, else the list's."""
    video: str
    """Without folders and without the extension of a video file. Never empty, ``.`` or ``..``, no slash in it."""
    frames: int | None = None
    """What the list says, where it does."""
    hint: str = ""
    """Path that the list gives, relative to the data root, with ``/``; it never leaves the root. Empty: none given."""


@dataclass(frozen=True)
class Listing:
    videos: tuple[Listed, ...]
    benchmark: str
    """Name in ``BENCHMARKS``; empty for a data set of one's own."""
    format: Format
    notes: tuple[str, ...] = ()
    """What the user should know of how classes were found."""
    tolerated: Mapping[str, int] = field(default_factory=dict[str, int])
    """What was passed over, and how often: blank lines, byte order marks, ..."""

    def counts(self) -> dict[Split, int]:
        """Videos of each split."""
        counted = Counter(video.split for video in self.videos)
        return {"train": counted["train"], "val": counted["val"], "test": counted["test"]}

    def labels(self, split: Split) -> tuple[str, ...]:
        """Sorted class names."""
        return tuple(sorted({video.label for video in self.videos if video.split == split}))
