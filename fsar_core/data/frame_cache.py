"""Frames of a split on disk, mapped into memory: one copy in the page cache for all processes of a node."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fsar_core.data.cache_contents import CacheError
from fsar_core.data.cache_shards import Stored, checksum
from fsar_core.data.stored_clip import JpegClip, RawClip, StoredClip
from fsar_core.frozen import Frozen

__all__ = ["MANIFEST", "CacheError", "FrameCache", "Manifest"]

MANIFEST = "manifest.json"


class Manifest(Frozen):
    """Written last: a cache that has it is complete."""

    jpeg: int | None
    shard_bytes: dict[str, int]
    clips: dict[str, Stored]


class FrameCache:
    """A complete cache, opened. Pickles as its folder, so that every process maps the files itself."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError or ValueError where there is no complete cache, CacheError for cut shards."""
        self.folder = folder
        self._manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        self._shards: dict[str, pa.ipc.RecordBatchFileReader] = {}
        self._clips: dict[str, StoredClip] = {}
        for name, size in self._manifest.shard_bytes.items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:  # reading past the end of a map kills the process
                raise CacheError(f"{path}: missing or cut, {size} bytes expected; delete {folder} to have it remade")

    def __reduce__(self) -> tuple[type["FrameCache"], tuple[Path]]:
        return FrameCache, (self.folder,)

    def __contains__(self, clip_name: str) -> bool:
        return clip_name in self._manifest.clips

    def clip(self, clip_name: str) -> StoredClip:
        """The frames that are kept of a clip."""
        found = self._clips.get(clip_name)
        if found is None:
            found = self._clips[clip_name] = self._map(clip_name)
        return found

    def stored_bytes(self) -> int:
        """Of all shards on disk."""
        return sum(self._manifest.shard_bytes.values())

    def verify(self) -> None:
        """Reads everything and compares checksums; raises CacheError with all damaged clips."""
        clips = self._manifest.clips
        damaged = [name for name in clips if checksum(self.clip(name).stored()) != clips[name].checksum]
        if damaged:
            raise CacheError(f"{self.folder}: damaged frames of {damaged}; delete the folder to have it remade")

    def _map(self, clip_name: str) -> StoredClip:
        if clip_name not in self._manifest.clips:
            raise KeyError(f"{clip_name!r} is not in the frame cache {self.folder}")
        stored = self._manifest.clips[clip_name]
        if stored.shard not in self._shards:
            self._shards[stored.shard] = pa.ipc.open_file(pa.memory_map(str(self.folder / stored.shard)))
        batch = self._shards[stored.shard].get_batch(stored.batch)
        rows, height, width, _ = stored.shape
        numbers: NDArray[np.int32] = batch.column("frame").to_numpy()
        _, offsets, content = batch.column("data").buffers()
        if offsets is None or content is None or len(numbers) != rows:
            raise CacheError(f"{self.folder / stored.shard}: no frames of {clip_name!r}; delete {self.folder}")
        if self._manifest.jpeg is None:
            pixels = np.frombuffer(content, np.uint8, int(np.prod(stored.shape))).reshape(stored.shape)
            return RawClip(numbers, pixels)
        places = np.frombuffer(offsets, np.int64, rows + 1)
        return JpegClip(numbers, height, width, places, np.frombuffer(content, np.uint8, int(places[-1])))
