"""One shard of the frame cache: an Arrow IPC file with one record batch per clip, one row per kept frame."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fsar_core.aside import written_aside
from fsar_core.data.cache_contents import Contents
from fsar_core.data.clip_index import Clip
from fsar_core.data.jpeg import encoded
from fsar_core.data.kept_frames import Kept
from fsar_core.data.resize import Resize, resize_frames
from fsar_core.data.stores.reading import probe, read_frames
from fsar_core.data.video import UnreadableVideo
from fsar_core.frozen import Frozen

_MIN_BYTES = 8 * 2**20
_MAX_BYTES = 256 * 2**20
_SHARDS_WANTED = 64
_AT_ONCE_BYTES = 512 * 2**20
"""Of decoded frames before they are resized: an untrimmed video does not fit into memory."""

_SCHEMA = pa.schema([("video", pa.int32()), ("frame", pa.int32()), ("data", pa.large_binary())])


class Stored(Frozen):
    """Where a clip's frames lie and what they must be."""

    shard: str
    batch: int
    shape: tuple[int, int, int, int]
    """(rows, H, W, 3)"""
    checksum: str
    """BLAKE2b-64 of the bytes of all rows."""


class ShardRecord(Frozen):
    """Written beside a shard when it is finished; without it the shard does not count."""

    bytes: int
    clips: dict[str, Stored]


@dataclass(frozen=True)
class ShardTask:
    """A worker's order: decode these clips into this file."""

    path: Path
    clips: tuple[Clip, ...]
    resize: Resize
    kept: Kept
    jpeg: int | None
    raw_bytes: int
    """Of the frames to keep, as raw pixels."""

    def record_path(self) -> Path:
        return self.path.with_suffix(".json")


@dataclass(frozen=True)
class Broken:
    """Why a shard could not be made."""

    faults: tuple[str, ...]


def plan_shards(contents: Contents, folder: Path) -> list[ShardTask]:
    """The same plan for the same contents, so that a later call finds the shards of a killed one."""
    sizes = [contents.clip_bytes(clip) for clip in contents.clips]
    limit = min(max(sum(sizes) // _SHARDS_WANTED, _MIN_BYTES), _MAX_BYTES)
    groups: list[list[Clip]] = []
    filled: list[int] = []
    for clip, size in zip(contents.clips, sizes, strict=True):
        if not groups or filled[-1] + size > limit:
            groups.append([])
            filled.append(0)
        groups[-1].append(clip)
        filled[-1] += size
    names = (folder / f"shard-{i:05d}.arrow" for i in range(len(groups)))
    return [
        ShardTask(path, tuple(group), contents.resize, contents.kept, contents.jpeg, raw_bytes)
        for path, group, raw_bytes in zip(names, groups, filled, strict=True)
    ]


def write_shard(task: ShardTask) -> ShardRecord | Broken:
    """Decodes, resizes and writes clip by clip; for worker processes. Faults are gathered, not raised."""
    try:
        with written_aside(task.path) as aside:
            clips = _fill(task, aside)
            written = aside.stat().st_size
        record = ShardRecord(bytes=written, clips=clips)
        with written_aside(task.record_path()) as aside:
            aside.write_text(record.model_dump_json())
    except _UnreadableVideos as unreadable:
        return Broken(unreadable.faults)
    except OSError as error:
        return Broken((f"{task.path}: cannot be written ({error.strerror or error})",))
    return record


def finished(task: ShardTask) -> ShardRecord | None:
    """The record of a shard that is there, whole and of these clips; None if it has to be made."""
    try:
        record = ShardRecord.model_validate_json(task.record_path().read_bytes())
        whole = task.path.stat().st_size == record.bytes
    except (OSError, ValueError):
        return None
    return record if whole and list(record.clips) == [clip.name for clip in task.clips] else None


def checksum(rows: NDArray[np.uint8]) -> str:
    return hashlib.blake2b(rows.data, digest_size=8).hexdigest()


def read_resized(clip: Clip, numbers: NDArray[np.int64], resize: Resize) -> NDArray[np.uint8]:
    """(len(numbers), H, W, 3) as the cache keeps them. Raises UnreadableVideo, also for a file that has changed."""
    where = clip.location
    probed = probe(where)
    if probed.frames != clip.frames:
        was = f"{clip.frames} frames then, {probed.frames} now"
        raise UnreadableVideo(where.shown(), f"changed since it was indexed: {was}")
    at_once = max(1, _AT_ONCE_BYTES // (probed.height * probed.width * 3))
    parts = [
        resize_frames(frames, *resize.shape(*frames.shape[1:3]))
        for start in range(0, len(numbers), at_once)
        for frames in [read_frames(where, numbers[start : start + at_once].tolist(), probed)]
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _UnreadableVideos(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__(faults)
        self.faults = faults


def _fill(task: ShardTask, path: Path) -> dict[str, Stored]:
    clips: dict[str, Stored] = {}
    faults: list[str] = []
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        for clip in task.clips:
            numbers = task.kept.frames_of(clip)
            try:
                frames = read_resized(clip, numbers, task.resize)
            except UnreadableVideo as error:
                faults.append(str(error))
                continue
            lengths, rows = _rows(frames, task.jpeg)
            writer.write_batch(_batch(len(clips), numbers, lengths, rows))
            clips[clip.name] = Stored(
                shard=task.path.name, batch=len(clips), shape=_shape(frames), checksum=checksum(rows)
            )
    if faults:
        raise _UnreadableVideos(tuple(faults))
    return clips


def _rows(frames: NDArray[np.uint8], jpeg: int | None) -> tuple[list[int], NDArray[np.uint8]]:
    """Bytes of each row, and the rows one after another."""
    if jpeg is None:
        return [frames[0].size] * len(frames), frames
    images = [encoded(frame, jpeg) for frame in frames]
    return [len(image) for image in images], np.frombuffer(b"".join(images), np.uint8)


def _batch(number: int, numbers: NDArray[np.int64], lengths: list[int], rows: NDArray[np.uint8]) -> Any:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    data = pa.Array.from_buffers(pa.large_binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(rows)])
    videos = pa.array(np.full(len(lengths), number, np.int32))
    return pa.record_batch([videos, pa.array(numbers.astype(np.int32)), data], schema=_SCHEMA)


def _shape(frames: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, height, width, channels = frames.shape
    return rows, height, width, channels
