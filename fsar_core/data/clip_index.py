"""The clips of a data set: found, looked at once, named by a fingerprint of what is really there."""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from fsar_core.data.folder_scan import Found, Split, scan_folder
from fsar_core.data.manifest import BadManifest, read_manifest
from fsar_core.data.probe_memory import Memory, Seen, look_at, recall, remember
from fsar_core.data.processes import Lost, Progress, one_by_one, silent, spread
from fsar_core.data.stores.location import Location
from fsar_core.data.stores.stamp import Stamp
from fsar_core.frozen import content_id

_LIMIT_S = 120  # the first clip of a zip with millions of images waits for the zip's directory
_FEW = 8  # fewer files than this are looked at sooner than a worker process starts
_SAVE_EVERY_S = 30.0
_TOLD_EVERY_S = 5.0
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
    """Unique in the data set: <class>/<name of the file or folder, without suffix>."""
    label: str
    split: Split
    path: Path
    """Of the video, the folder of its frames, or the zip that holds them."""
    frames: int
    content: str
    """BLAKE2b-128 of the file's bytes, 32 hexadecimal digits; of frames as ``stores.reading.looked_at`` says."""
    height: int
    width: int
    fps: float
    """Average rate in frames per second; 0 where the file does not say."""
    inside: str = ""
    """The folder in the zip."""

    @property
    def location(self) -> Location:
        return Location(self.path, self.inside)


@dataclass(frozen=True)
class ClipIndex:
    """Made by ``index_folder``, ``index_imported`` or ``of_clips``, which see to the order and the fingerprint."""

    dataset: str
    clips: tuple[Clip, ...]
    """Sorted by split, label, name."""
    fingerprint: str
    """16 hexadecimal digits of all names, labels, splits and contents; the same wherever the files lie."""
    excluded: tuple[tuple[str, str], ...] = ()
    """(name, reason) of the unreadable videos that were left out."""

    @classmethod
    def of_clips(
        cls, dataset: str, clips: Iterable[Clip], excluded: Iterable[tuple[str, str]] = (), *, fps: float = 0
    ) -> "ClipIndex":
        """``fps`` is given to clips that say none, and then is part of the fingerprint: strided sampling reads it."""
        clips = [replace(clip, fps=clip.fps or fps) for clip in clips] if fps else clips
        ordered = tuple(sorted(clips, key=lambda clip: (clip.split, clip.label, clip.name)))
        texts = [text for clip in ordered for text in (clip.split, clip.label, clip.name, clip.content)]
        given = [f"frames per second where none are said: {fps}"] if fps else []
        return cls(dataset, ordered, content_id(*texts, *given), tuple(sorted(excluded)))

    def of(self, split: Split) -> tuple[Clip, ...]:
        return tuple(clip for clip in self.clips if clip.split == split)

    def labels(self, split: Split) -> tuple[str, ...]:
        """Sorted class names."""
        return tuple(sorted({clip.label for clip in self.clips if clip.split == split}))


def index_folder(
    dataset: str, root: Path, *, exclude_unreadable: bool, workers: int, memory: Path, progress: Progress = silent
) -> ClipIndex:
    """The clips of root/{train,val,test}/<class>/<video>.

    Every file is hashed and probed, in ``workers`` processes and 120 s at most each; ``memory``, a Parquet file that
    several data sets may share, keeps this for files whose path, size and modification time stay the same.
    Raises BadDataset with all faults at once. With ``exclude_unreadable`` unreadable videos are no faults but listed in
    ``excluded``; a class of which nothing remains is a fault all the same.
    """
    scan = scan_folder(root)
    clips, unreadable = sorted_out(look_at_all(scan.videos, workers, memory, progress))
    faults = list(scan.faults)
    if exclude_unreadable:
        faults.extend(_emptied(scan.videos, clips))
    else:
        faults.extend(f"{found.location.shown()}: {reason}" for found, reason in unreadable)
        if unreadable:
            faults.append("unreadable videos: repair or remove them, or allow that they are excluded")
    if faults:
        raise BadDataset(dataset, tuple(faults))
    left_out = [(found.name, reason) for found, reason in unreadable if exclude_unreadable]
    return ClipIndex.of_clips(dataset, clips, left_out)


def index_imported(
    dataset: str, manifest: Path, *, workers: int, memory: Path, progress: Progress = silent
) -> ClipIndex:
    """The clips that an import found, looked at as ``index_folder`` does; ``excluded`` are those it left out.

    Raises BadDataset with all faults: a clip that has gone or became unreadable since then is one.
    """
    try:
        imported = read_manifest(manifest)
    except BadManifest as error:
        raise BadDataset(dataset, (str(error),)) from error
    clips, unreadable = sorted_out(look_at_all(imported.found(), workers, memory, progress))
    if unreadable:
        lines = [f"{found.location.shown()}: {reason}" for found, reason in unreadable]
        lines.append(f"these were there when the data set was imported: restore them, or import {dataset} again")
        raise BadDataset(dataset, tuple(lines))
    return ClipIndex.of_clips(dataset, clips, imported.facts.unreadable, fps=imported.facts.fps)


def look_at_all(
    videos: Sequence[Found], workers: int, memory: Path, progress: Progress = silent
) -> list[tuple[Found, Seen]]:
    """What is known of every clip, from ``memory`` where it is unchanged, else by looking: one process at a time looks,
    the others wait for what it finds."""
    stamps = {video.location.key(): video.stamp for video in videos}
    known, lost = recall(memory), dict[str, Seen]()
    fresh = _fresh(stamps, known)
    progress(len(stamps) - len(fresh), len(stamps))
    if fresh:
        with _alone(memory, stamps, progress) as waited:
            known = recall(memory)
            lost = {} if waited else _look(stamps, known, workers, memory, progress)
        if waited:  # for one process; what it could not read either is no reason to wait for the next one
            lost = _look(stamps, known, workers, memory, progress)
    return [(video, lost[key] if (key := video.location.key()) in lost else known[key][1]) for video in videos]


def _fresh(stamps: Mapping[str, Stamp], known: Memory) -> list[str]:
    return [key for key, stamp in stamps.items() if key not in known or known[key][0] != stamp]


@contextmanager
def _alone(memory: Path, stamps: Mapping[str, Stamp], progress: Progress) -> Generator[bool]:
    """Gives whether another process was waited for; tells meanwhile how far that is."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(memory.with_name(f".{memory.name}.lock"))
    waited, timeout = False, 0.0
    while True:
        try:
            lock.acquire(timeout=timeout)
            break
        except Timeout:
            waited, timeout = True, _TOLD_EVERY_S
            progress(len(stamps) - len(_fresh(stamps, recall(memory))), len(stamps))
    try:
        yield waited
    finally:
        lock.release()


def _look(
    stamps: Mapping[str, Stamp], known: Memory, workers: int, memory: Path, progress: Progress
) -> dict[str, Seen]:
    """Adds to ``known``, and to ``memory``. Gives what is not remembered, since it may go better another time."""
    fresh, total, saved = _fresh(stamps, known), len(stamps), time.monotonic()
    lost = dict[str, Seen]()
    for done, (key, result) in enumerate(_looks(fresh, workers), start=total - len(fresh) + 1):
        if isinstance(result, Lost):
            lost[key] = Seen("", None, result.reason)
        else:
            known[key] = (stamps[key], result)
        progress(done, total)
        if time.monotonic() - saved > _SAVE_EVERY_S:
            remember(memory, known)
            saved = time.monotonic()
    if fresh:
        remember(memory, known)
    else:
        progress(total, total)
    return lost


def sorted_out(looked: Iterable[tuple[Found, Seen]]) -> tuple[list[Clip], list[tuple[Found, str]]]:
    """The readable clips, and the others with the reason."""
    clips: list[Clip] = []
    unreadable: list[tuple[Found, str]] = []
    for video, look in looked:
        facts = look.probed
        if facts is None:
            unreadable.append((video, look.fault))
            continue
        clips.append(
            Clip(
                name=video.name,
                label=video.label,
                split=video.split,
                path=video.location.path,
                frames=facts.frames,
                content=look.content,
                height=facts.height,
                width=facts.width,
                fps=facts.fps,
                inside=video.location.inside,
            )
        )
    return clips, unreadable


def _looks(keys: list[str], workers: int) -> Iterator[tuple[str, Seen | Lost]]:
    if len(keys) < _FEW:
        return one_by_one(look_at, keys, limit_s=_LIMIT_S)
    return spread(look_at, keys, workers=workers, limit_s=_LIMIT_S)


def _emptied(videos: list[Found], clips: list[Clip]) -> Iterator[str]:
    left = {(clip.split, clip.label) for clip in clips}
    for split, label in sorted({(video.split, video.label) for video in videos} - left):
        yield f"{split}/{label}: none of its videos can be read; repair them or remove the class"
