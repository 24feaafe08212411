"""Exact frames of a video file, or a clear reason why there are none.

decord serves the files on which its seeking is exact; PyAV decodes all others from the start. decord returns wrong
frames without an error for AVI with B-frames, for edit lists and for MPEG-TS, so a file is looked at before it is read.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from fsar_core.data.container_survey import survey

Frames = NDArray[np.uint8]


class UnreadableVideo(Exception):  # noqa: N818 - reads as what it is where it is raised
    """A file that gives no trustworthy frames. Pickles, so that worker processes can raise it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Probe:
    """What a file holds. Height and width are those of the frames as read, after the file's rotation."""

    frames: int
    height: int
    width: int
    fps: float
    """Average rate in frames per second; 0 where the file does not say."""
    codec: str
    decoder: Literal["decord", "pyav", "images"]
    """Who reads it: decord only where its sparse reads are known to be exact; ``images`` are no video file."""


def probe(path: Path) -> Probe:
    """Looks at a file: packets are counted, the first frame is decoded; a file with unusual packets is decoded whole.

    Raises UnreadableVideo for a missing, empty, foreign, soundtrack-only, undecodable or cut file.
    """
    _refuse_what_is_no_file(path)
    try:
        found = survey(path)
        if found.fault:
            raise UnreadableVideo(path, found.fault)
        first = next(_decode(path), None)
        if first is None:
            raise UnreadableVideo(path, "no frames: nothing in its video stream can be decoded")
        frames = found.packets if found.plain else sum(1 for _ in _decode(path))
    except av.error.FFmpegError as error:
        raise UnreadableVideo(path, _why_not(path, error)) from error
    swapped = (first.rotation // 90) % 2 == 1
    height, width = (first.width, first.height) if swapped else (first.height, first.width)
    by_decord = found.plain and "av1" not in found.codec and "dav1d" not in found.codec and has_decord()
    return Probe(frames, height, width, found.fps, found.codec, "decord" if by_decord else "pyav")


def read_frames(path: Path, pick: Sequence[int] | None, probed: Probe | None = None) -> Frames:
    """RGB frames (len(pick), H, W, 3) with the given indices, in the given order, repeats allowed; None gives all.

    ``probed`` saves a second look at a file that is known. Opens its own reader, so it may be called in any process or
    thread. Raises UnreadableVideo, and IndexError for an index outside [0, frames).
    """
    known = probe(path) if probed is None else probed
    wanted = list(range(known.frames)) if pick is None else [int(index) for index in pick]
    outside = [index for index in wanted if not 0 <= index < known.frames]
    if outside:
        raise IndexError(f"{path}: frame indices must be in [0, {known.frames}), got {outside[:5]}")
    if not wanted:
        return np.empty((0, known.height, known.width, 3), np.uint8)
    frames = _read_by_decord(path, wanted, known) if known.decoder == "decord" and has_decord() else None
    return _read_by_pyav(path, wanted) if frames is None else frames


def has_decord() -> bool:
    """Whether decord is installed; it exists for x86 only."""
    return importlib.util.find_spec("decord") is not None


def _read_by_decord(path: Path, wanted: list[int], known: Probe) -> Frames | None:
    """None where decord sees another file than the probe did, or fails: PyAV then decides what is true."""
    decord: Any = importlib.import_module("decord")
    decord.logging.set_level(decord.logging.QUIET)
    try:
        # more threads fail on VP9; parallelism comes from processes
        reader = decord.VideoReader(str(path), num_threads=1)
        if len(reader) != known.frames:
            return None
        frames: Frames = reader.get_batch(wanted).asnumpy()
    except (decord.DECORDError, RuntimeError):
        return None
    return frames


def _read_by_pyav(path: Path, wanted: list[int]) -> Frames:
    kept: dict[int, Frames] = {}
    needed, last, seen = set(wanted), max(wanted), 0
    reformatter = VideoReformatter()  # frame.to_ndarray makes one with threads for every frame, five times slower
    try:
        for number, frame in enumerate(_decode(path)):
            seen = number + 1
            if number in needed:
                pixels = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                kept[number] = np.ascontiguousarray(np.rot90(pixels, (frame.rotation // 90) % 4), dtype=np.uint8)
            if number == last:
                break
    except av.error.FFmpegError as error:
        raise UnreadableVideo(path, f"damaged: decoding stops after {seen} frames ({error.strerror})") from error
    if seen <= last:
        raise UnreadableVideo(path, f"damaged or changed: frame {last} asked for, {seen} frames found")
    return np.stack([kept[index] for index in wanted])


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.best("video")
        if not isinstance(stream, av.VideoStream):
            raise UnreadableVideo(path, "no video stream")
        stream.thread_type = "NONE"  # frame threads may hang when decoding is left early; processes run side by side
        yield from container.decode(stream)


def _refuse_what_is_no_file(path: Path) -> None:
    if not path.exists():
        raise UnreadableVideo(path, "no such file" if not path.is_symlink() else "a link that leads nowhere")
    if not path.is_file():
        raise UnreadableVideo(path, "not a regular file")
    if path.stat().st_size == 0:
        raise UnreadableVideo(path, "empty file (0 bytes)")


def _why_not(path: Path, error: av.error.FFmpegError) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return f"truncated or damaged: an MP4 whose index (moov) is missing or broken ({error.strerror})"
    return f"not a video that can be decoded ({error.strerror})"
