"""What an import found, as numbers that a person or a program can read."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from pydantic import Field

from fsar_core.data.clip_index import Clip
from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.importing.pairing import Paired
from fsar_core.data.listing import Listed, recognise
from fsar_core.data.probe_memory import Seen
from fsar_core.frozen import Frozen

EIGHT = 8
"""Frames of the published stores that were thinned, and of the published clips."""


class SplitReport(Frozen):
    split: Split
    classes: int
    published: int | None
    """Videos that the known split has; None for a data set of one's own."""
    listed: int
    found: int
    missing: int
    ambiguous: int
    unreadable: int
    eight_frames: int
    """Clips of exactly eight frames."""
    fewer_frames: int
    """Clips of fewer."""


class ClassReport(Frozen):
    split: Split
    label: str
    listed: int
    usable: int
    """Found and, once the clips were opened, readable."""

    def lost(self) -> int:
        return self.listed - self.usable


class ReaderReport(Frozen):
    """How many clips of one kind are read by what."""

    container: str
    codec: str
    reader: str
    clips: int


class ImportReport(Frozen):
    """Of a refused import, ``faults`` is not empty and nothing was written."""

    dataset: str
    root: str
    source: str
    """Where the split came from."""
    form: str
    """Of the lists."""
    version: str
    """Which known split it is, in one line."""
    splits: tuple[SplitReport, ...] = ()
    classes: tuple[ClassReport, ...] = ()
    too_small: tuple[ClassReport, ...] = ()
    """Classes with fewer usable clips than an episode needs."""
    readers: tuple[ReaderReport, ...] = ()
    unused: int = 0
    """Clips on disk that nothing names."""
    passed_over: dict[str, int] = Field(default_factory=dict[str, int])
    """Other files, by suffix."""
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    """(name, reason) of clips that were found but cannot be read."""
    opened: bool = False
    """Whether the clips were opened; not where they were refused before."""
    fingerprint: str = ""

    def worst(self, count: int) -> tuple[ClassReport, ...]:
        """Classes that lost videos, those that lost most first."""
        lost = [one for one in self.classes if one.lost()]
        return tuple(sorted(lost, key=lambda one: (-one.lost() / one.listed, one.label))[:count])


def split_reports(paired: Paired, clips: Sequence[Clip], unreadable: Counter[Split]) -> tuple[SplitReport, ...]:
    found, missing = (Counter(video.split for video in videos) for videos in (_found(paired), paired.missing))
    ambiguous = Counter(video.split for video, _ in paired.ambiguous)
    listed, published = paired.listing.counts(), recognise(paired.listing).expected or {}
    return tuple(
        SplitReport(
            split=split,
            classes=len(paired.listing.labels(split)),
            published=published.get(split),
            listed=listed[split],
            found=found[split],
            missing=missing[split],
            ambiguous=ambiguous[split],
            unreadable=unreadable[split],
            eight_frames=sum(clip.frames == EIGHT for clip in clips if clip.split == split),
            fewer_frames=sum(clip.frames < EIGHT for clip in clips if clip.split == split),
        )
        for split in SPLITS
    )


def class_reports(paired: Paired, usable: Counter[tuple[Split, str]]) -> tuple[ClassReport, ...]:
    listed = Counter((video.split, video.label) for video in paired.listing.videos)
    return tuple(
        ClassReport(split=split, label=label, listed=listed[split, label], usable=usable[split, label])
        for split in SPLITS
        for label in paired.listing.labels(split)
    )


def usable_of(paired: Paired) -> Counter[tuple[Split, str]]:
    """Found, not opened."""
    return Counter((video.split, video.label) for video in _found(paired))


def reader_reports(looked: Sequence[tuple[str, Seen]]) -> tuple[ReaderReport, ...]:
    """``looked``: container and what was seen of each clip."""
    counted = Counter(
        (container, seen.probed.codec, seen.probed.decoder) for container, seen in looked if seen.probed is not None
    )
    return tuple(
        ReaderReport(container=container, codec=codec, reader=reader, clips=clips)
        for (container, codec, reader), clips in counted.most_common()
    )


def clip_notes(clips: Sequence[Clip]) -> list[str]:
    """What the user should know of the frames, though nothing is wrong."""
    notes: list[str] = []
    counts = Counter(clip.frames for clip in clips)
    if len(counts) == 1 and EIGHT in counts:
        notes.append(
            "thinned store: no temporal jitter. Every clip has exactly 8 frames, so training and tests see the same 8;"
            " results are not comparable with those from all frames"
        )
    if any(count < EIGHT for count in counts):
        short = sum(clips for count, clips in counts.items() if count < EIGHT)
        notes.append(f"{short} clips have fewer than 8 frames: frames are repeated in them")
    homes: dict[str, set[Split]] = defaultdict(set)
    for clip in clips:
        homes[clip.content].add(clip.split)
    shared = sum(len(where) > 1 for where in homes.values())
    if shared:
        notes.append(f"the bytes of {shared} videos stand in more than one split: test is not free of train")
    return notes


def _found(paired: Paired) -> tuple[Listed, ...]:
    return tuple(video for video, _ in paired.found)
