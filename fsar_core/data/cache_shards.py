"""One shard of the frame cache: an Arrow IPC file with one record batch per clip, one row per frame, raw pixels."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fsar_core.aside import written_aside
from fsar_core.data.clip_index import Clip
from fsar_core.data.resize import Resize, resize_frames
from fsar_core.data.video import UnreadableVideo, read_frames
from fsar_core.frozen import Frozen

_MIN_BYTES = 64 * 2**20
_MAX_BYTES = 256 * 2**20
_SHARDS_WANTED = 64

_SCHEMA = pa.schema([("video", pa.int32()), ("frame", pa.int32()), ("data", pa.large_binary())])


class Stored(Frozen):
    """Where a clip's frames lie and what they must be."""

    shard: str
    batch: int
    shape: tuple[int, int, int, int]
    """(n, H, W, 3)"""
    checksum: str
    """BLAKE2b-64 of the pixels."""


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

    def pixels(self) -> int:
        """Bytes of all frames."""
        return sum(pixel_bytes(clip, self.resize) for clip in self.clips)

    def record_path(self) -> Path:
        return self.path.with_suffix(".json")


@dataclass(frozen=True)
class Broken:
    """Why a shard could not be made."""

    faults: tuple[str, ...]


def pixel_bytes(clip: Clip, resize: Resize) -> int:
    height, width = resize.shape(clip.height, clip.width)
    return clip.frames * height * width * 3


def plan_shards(clips: Sequence[Clip], resize: Resize, folder: Path) -> list[ShardTask]:
    """The same plan for the same clips, so that a later call finds the shards of a killed one."""
    sizes = [pixel_bytes(clip, resize) for clip in clips]
    limit = min(max(sum(sizes) // _SHARDS_WANTED, _MIN_BYTES), _MAX_BYTES)
    groups: list[list[Clip]] = []
    filled = limit
    for clip, size in zip(clips, sizes, strict=True):
        if filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(clip)
        filled += size
    return [ShardTask(folder / f"shard-{i:05d}.arrow", tuple(group), resize) for i, group in enumerate(groups)]


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


def checksum(frames: NDArray[np.uint8]) -> str:
    return hashlib.blake2b(frames.data, digest_size=8).hexdigest()


class _UnreadableVideos(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__(faults)
        self.faults = faults


def _fill(task: ShardTask, path: Path) -> dict[str, Stored]:
    clips: dict[str, Stored] = {}
    faults: list[str] = []
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        for number, clip in enumerate(task.clips):
            try:
                frames = _resized(clip, task.resize)
            except UnreadableVideo as error:
                faults.append(str(error))
                continue
            writer.write_batch(_batch(number, frames))
            clips[clip.name] = Stored(
                shard=task.path.name, batch=number, shape=_shape(frames), checksum=checksum(frames)
            )
    if faults:
        raise _UnreadableVideos(tuple(faults))
    return clips


def _resized(clip: Clip, resize: Resize) -> NDArray[np.uint8]:
    frames = read_frames(clip.path, None)
    if len(frames) != clip.frames:
        raise UnreadableVideo(clip.path, f"changed since it was indexed: {clip.frames} frames then, {len(frames)} now")
    return resize_frames(frames, *resize.shape(*frames.shape[1:3]))


def _batch(number: int, frames: NDArray[np.uint8]) -> Any:
    rows, row_bytes = len(frames), frames[0].size
    offsets = np.arange(rows + 1, dtype=np.int64) * row_bytes
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(frames)]
    data = pa.Array.from_buffers(pa.large_binary(), rows, buffers)
    videos, numbers = np.full(rows, number, np.int32), np.arange(rows, dtype=np.int32)
    return pa.record_batch([pa.array(videos), pa.array(numbers), data], schema=_SCHEMA)


def _shape(frames: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, height, width, channels = frames.shape
    return rows, height, width, channels
