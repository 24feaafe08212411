"""The clips of a data set: found, looked at once, named by a fingerprint of what is really there."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fsar_core.data.folder_scan import Found, Split, scan_folder
from fsar_core.data.probe_memory import Seen, look_at, recall, remember
from fsar_core.data.processes import Lost, Progress, one_by_one, silent, spread
from fsar_core.frozen import content_id

_LIMIT_S = 20
_FEW = 8  # fewer files than this are looked at sooner than a worker process starts
_SAVE_EVERY_S = 30.0
_SHOWN = 50


class BadDataset(Exception):  # noqa: N818 - reads as what it is where it is raised
    """All that is wrong with a data set, one line per fault."""

    def __init__(self, dataset: str, lines: tuple[str, ...]) -> None:
        super().__init__(dataset, lines)
        self.dataset = dataset
        self.lines = lines

    def __str__(self) -> str:
        shown = "\n".join(f"  {line}" for line in self.lines[:_SHOWN])
        more = f"\n  and {len(self.lines) - _SHOWN} more" if len(self.lines) > _SHOWN else ""
        return f"data set {self.dataset!r} cannot be used, {len(self.lines)} faults:\n{shown}{more}"


@dataclass(frozen=True)
class Clip:
    name: str
    """Unique in the data set: <class>/<file name without suffix>."""
    label: str
    split: Split
    path: Path
    frames: int
    content: str
    """BLAKE2b-128 of the file's bytes, 32 hexadecimal digits."""
    height: int
    width: int
    fps: float
    """Average rate in frames per second; 0 where the file does not say."""


@dataclass(frozen=True)
class ClipIndex:
    """Made by ``index_folder`` or ``of_clips``, which see to the order and the fingerprint."""

    dataset: str
    clips: tuple[Clip, ...]
    """Sorted by split, label, name."""
    fingerprint: str
    """16 hexadecimal digits of all names, labels, splits and contents; the same wherever the files lie."""
    excluded: tuple[tuple[str, str], ...] = ()
    """(name, reason) of the unreadable videos that were left out."""

    @classmethod
    def of_clips(cls, dataset: str, clips: Iterable[Clip], excluded: Iterable[tuple[str, str]] = ()) -> "ClipIndex":
        ordered = tuple(sorted(clips, key=lambda clip: (clip.split, clip.label, clip.name)))
        texts = [text for clip in ordered for text in (clip.split, clip.label, clip.name, clip.content)]
        return cls(dataset, ordered, content_id(*texts), tuple(sorted(excluded)))

    def of(self, split: Split) -> tuple[Clip, ...]:
        return tuple(clip for clip in self.clips if clip.split == split)

    def labels(self, split: Split) -> tuple[str, ...]:
        """Sorted class names."""
        return tuple(sorted({clip.label for clip in self.clips if clip.split == split}))


def index_folder(
    dataset: str, root: Path, *, exclude_unreadable: bool, workers: int, memory: Path, progress: Progress = silent
) -> ClipIndex:
    """The clips of root/{train,val,test}/<class>/<video>.

    Every file is hashed and probed, in ``workers`` processes and 20 s at most each; ``memory``, a Parquet file that
    several data sets may share, keeps this for files whose path, size and modification time stay the same.
    Raises BadDataset with all faults at once. With ``exclude_unreadable`` unreadable videos are no faults but listed in
    ``excluded``; a class of which nothing remains is a fault all the same.
    """
    scan = scan_folder(root)
    seen = _look_at_all(scan.videos, workers, memory, progress)
    clips, unreadable = _sorted_out(scan.videos, seen)
    faults = list(scan.faults)
    if exclude_unreadable:
        faults.extend(_emptied(scan.videos, clips))
    else:
        faults.extend(f"{found.path}: {reason}" for found, reason in unreadable)
        if unreadable:
            faults.append("unreadable videos: repair or remove them, or allow that they are excluded")
    if faults:
        raise BadDataset(dataset, tuple(faults))
    left_out = [(found.name, reason) for found, reason in unreadable if exclude_unreadable]
    return ClipIndex.of_clips(dataset, clips, left_out)


def _look_at_all(videos: list[Found], workers: int, memory: Path, progress: Progress) -> dict[str, Seen]:
    """What is known of every path, from memory where the file is unchanged, else by looking."""
    known = recall(memory)
    stamps = {_key(video): video.stamp for video in videos}
    fresh = [path for path, stamp in stamps.items() if path not in known or known[path][0] != stamp]
    lost: dict[str, Seen] = {}
    old, total, saved = len(stamps) - len(fresh), len(stamps), time.monotonic()
    progress(old, total)
    for done, (path, result) in enumerate(_looks(fresh, workers), start=old + 1):
        if isinstance(result, Lost):  # not remembered: it may go better another time
            lost[path] = Seen("", None, result.reason)
        else:
            known[path] = (stamps[path], result)
        progress(done, total)
        if time.monotonic() - saved > _SAVE_EVERY_S:
            remember(memory, known)
            saved = time.monotonic()
    if fresh:
        remember(memory, known)
    return {path: lost[path] if path in lost else known[path][1] for path in stamps}


def _looks(paths: list[str], workers: int) -> Iterator[tuple[str, Seen | Lost]]:
    if len(paths) < _FEW:
        return one_by_one(look_at, paths, limit_s=_LIMIT_S)
    return spread(look_at, paths, workers=workers, limit_s=_LIMIT_S)


def _sorted_out(videos: list[Found], seen: dict[str, Seen]) -> tuple[list[Clip], list[tuple[Found, str]]]:
    clips: list[Clip] = []
    unreadable: list[tuple[Found, str]] = []
    for video in videos:
        look = seen[_key(video)]
        if look.probed is None:
            unreadable.append((video, look.fault))
            continue
        facts = look.probed
        clips.append(
            Clip(
                video.name,
                video.label,
                video.split,
                video.path,
                facts.frames,
                look.content,
                facts.height,
                facts.width,
                facts.fps,
            )
        )
    return clips, unreadable


def _emptied(videos: list[Found], clips: list[Clip]) -> Iterator[str]:
    left = {(clip.split, clip.label) for clip in clips}
    for split, label in sorted({(video.split, video.label) for video in videos} - left):
        yield f"{split}/{label}: none of its videos can be read; repair them or remove the class"


def _key(video: Found) -> str:
    return str(video.path.absolute())
