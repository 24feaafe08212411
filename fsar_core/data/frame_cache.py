"""Decoded frames of all clips on disk, mapped into memory: one copy in the page cache for all processes of a node."""

import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from filelock import FileLock
from numpy.typing import NDArray

from fsar_core.aside import remove_abandoned, written_aside
from fsar_core.data.cache_shards import (
    Broken,
    ShardRecord,
    ShardTask,
    Stored,
    checksum,
    finished,
    plan_shards,
    write_shard,
)
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.processes import Lost, Progress, one_by_one, silent, spread
from fsar_core.data.resize import Resize
from fsar_core.data.video import has_decord
from fsar_core.frozen import Frozen, content_id

__all__ = ["CacheError", "FrameCache", "Resize", "build_cache", "cache_key"]

_LAYOUT = 1  # raise it when files or pixels of a cache change their meaning
_MANIFEST = "manifest.json"
_SLOWEST_SHARD_S = 4 * 3600
_ROOM = 1.01  # footers, records and offsets beside the pixels


class CacheError(Exception):
    """The cache cannot be made or is damaged; says where and what to do."""


class Manifest(Frozen):
    """Written last: a cache that has it is complete."""

    dataset: str
    fingerprint: str
    resize: Resize
    readers: str
    shard_bytes: dict[str, int]
    clips: dict[str, Stored]


class FrameCache:
    """A complete cache, opened. Pickles as its folder, so that every process maps the files itself."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError or ValueError where there is no complete cache, CacheError for cut shards."""
        self.folder = folder
        self._manifest = Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
        self._shards: dict[str, pa.ipc.RecordBatchFileReader] = {}
        self._views: dict[str, NDArray[np.uint8]] = {}
        for name, size in self._manifest.shard_bytes.items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:  # reading past the end of a map kills the process
                raise CacheError(f"{path}: missing or cut, {size} bytes expected; delete {folder} to have it remade")

    def __reduce__(self) -> tuple[type["FrameCache"], tuple[Path]]:
        return FrameCache, (self.folder,)

    def __contains__(self, clip_name: str) -> bool:
        return clip_name in self._manifest.clips

    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        """All frames of a clip, (n, H, W, 3) RGB, without a copy. Read-only: copy out (np.take) before changing any."""
        view = self._views.get(clip_name)
        if view is None:
            view = self._views[clip_name] = self._map(clip_name)
        return view

    def verify(self) -> None:
        """Reads everything and compares checksums; raises CacheError with all damaged clips."""
        clips = self._manifest.clips
        damaged = [name for name in clips if checksum(self.frames(name)) != clips[name].checksum]
        if damaged:
            raise CacheError(f"{self.folder}: damaged frames of {damaged}; delete the folder to have it remade")

    def _map(self, clip_name: str) -> NDArray[np.uint8]:
        if clip_name not in self._manifest.clips:
            raise KeyError(f"{clip_name!r} is not in the frame cache {self.folder} of {self._manifest.dataset!r}")
        stored = self._manifest.clips[clip_name]
        if stored.shard not in self._shards:
            self._shards[stored.shard] = pa.ipc.open_file(pa.memory_map(str(self.folder / stored.shard)))
        pixels = self._shards[stored.shard].get_batch(stored.batch).column("data").buffers()[2]
        if pixels is None:
            raise CacheError(f"{self.folder / stored.shard}: no pixels for {clip_name!r}; delete {self.folder}")
        return np.frombuffer(pixels, np.uint8, int(np.prod(stored.shape))).reshape(stored.shape)


def cache_key(index: ClipIndex, resize: Resize) -> str:
    """Names what the pixels depend on: the videos, the size, who decodes and resizes, the layout."""
    return content_id(index.fingerprint, resize.mode, str(resize.size), _readers(), str(_LAYOUT))


def build_cache(
    index: ClipIndex, resize: Resize, root: Path, *, workers: int, progress: Progress = silent
) -> FrameCache:
    """The cache of all clips of ``index`` in root/<key>; made if it is not there, which needs all frames' raw bytes.

    Any number of processes may call it at once: one builds, the others wait. A killed build is taken up where it was,
    to a shard. ``progress`` counts shards. Raises CacheError where the folder cannot be written, the disk has too
    little room, or videos cannot be decoded to the end (all of them in one error).
    """
    key = cache_key(index, resize)
    folder = root / key
    if (opened := _complete(folder)) is not None:
        return opened
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):
            opened = _complete(folder)  # another process may have made it meanwhile
            return _build(index, resize, folder, workers, progress) if opened is None else opened
    except OSError as error:
        raise CacheError(
            f"frame cache: {folder} cannot be written ({error.strerror or error}); give another folder"
        ) from error


def _complete(folder: Path) -> FrameCache | None:
    """None also for a cache with cut shards, which is then made again as far as needed."""
    try:
        return FrameCache(folder)
    except (OSError, ValueError, CacheError):
        return None


def _build(index: ClipIndex, resize: Resize, folder: Path, workers: int, progress: Progress) -> FrameCache:
    remove_abandoned(folder)
    tasks = plan_shards(index.clips, resize, folder)
    records = {task.path.name: record for task in tasks if (record := finished(task)) is not None}
    missing = [task for task in tasks if task.path.name not in records]
    needed = int(sum(task.pixels() for task in missing) * _ROOM)
    _demand_room(folder, needed)
    progress(len(records), len(tasks))
    faults: list[str] = []
    for task, result in _made(missing, workers):
        if isinstance(result, ShardRecord):
            records[task.path.name] = result
        else:
            faults.extend(_faults_of(task, result))
        progress(len(records), len(tasks))
    if faults:
        _demand_room(folder, int(sum(task.pixels() for task in tasks if task.path.name not in records) * _ROOM))
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise CacheError(f"frame cache {folder}: not complete; repair these or take them out of the data set:\n{lines}")
    _write_manifest(index, resize, folder, [records[task.path.name] for task in tasks], tasks)
    return FrameCache(folder)


def _made(tasks: list[ShardTask], workers: int) -> Iterator[tuple[ShardTask, ShardRecord | Broken | Lost]]:
    if len(tasks) == 1 or workers == 1:
        return one_by_one(write_shard, tasks, limit_s=_SLOWEST_SHARD_S)
    return spread(write_shard, tasks, workers=workers, limit_s=_SLOWEST_SHARD_S)


def _faults_of(task: ShardTask, result: Broken | Lost) -> tuple[str, ...]:
    if isinstance(result, Broken):
        return result.faults
    return (f"{task.path.name}: {result.reason}; one of {task.clips[0].path} ... {task.clips[-1].path}",)


def _demand_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CacheError(
            f"frame cache: {folder} needs {needed} bytes ({needed / 1e9:.2f} GB) but its disk has {free} bytes"
            f" ({free / 1e9:.2f} GB) free; free some, give another folder, or choose a smaller resize"
        )


def _write_manifest(
    index: ClipIndex, resize: Resize, folder: Path, records: list[ShardRecord], tasks: list[ShardTask]
) -> None:
    manifest = Manifest(
        dataset=index.dataset,
        fingerprint=index.fingerprint,
        resize=resize,
        readers=_readers(),
        shard_bytes={task.path.name: record.bytes for task, record in zip(tasks, records, strict=True)},
        clips={name: stored for record in records for name, stored in record.clips.items()},
    )
    with written_aside(folder / _MANIFEST) as aside:
        aside.write_text(manifest.model_dump_json())


def _readers() -> str:
    decord = f"decord {version('decord')} " if has_decord() else ""
    return f"{decord}av {version('av')} pillow {version('pillow')}"
