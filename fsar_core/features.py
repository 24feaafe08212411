"""What is known of every clip by weights that stay, kept on disk: whoever comes later decodes and embeds nothing.

Tests read it, and trainings whose first steps never change.

A table is named by all that it depends on and nothing else: the weights and settings of the parts that lead to it, the
clips, how their pixels are made, the precision, the code. Heads are none of that, so that methods that differ in heads
share their tables. Tables can always be made again; the store is a cache of limited size.
"""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fsar_core.aside import remove_abandoned, written_aside
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.frame_sampling import FrameSampling
from fsar_core.embedding import embed_clips, home, scan_clips
from fsar_core.frozen import content_id
from fsar_core.method import Method
from fsar_core.precision import Precision

_SPARED = 1 << 30
"""Bytes that a disk keeps free."""
_CLIPS_AT_ONCE = 64
_NOT_OF_TESTS = {"dataset", "train_sampling", "test_sampling", "random_crop", "flip", "jitter", "limit"}
_CODE = ("backbones", "data", "frame_samplers", "stages", "embedding.py", "method.py", "precision.py", "wiring.py")
_SUFFIX = ".safetensors"


class FeatureStore:
    """Tables in a folder, in safetensors files of at most ``limit`` bytes together; those used last are kept.

    0 keeps none. Nor is a table kept that is larger than that, or would leave less than 1 GiB free on the disk. Several
    processes may share the folder; all that write at the same moment may exceed the limit by their tables.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit

    def known_per_clip(
        self,
        method: Method,
        source: ClipSource,
        device: torch.device,
        sampling: FrameSampling | None = None,
        precision: Precision = "fp32",
    ) -> Mapping[str, Tensor]:
        """Bitwise what ``embedding.known_per_clip`` gave at the first time, on ``device`` if it fits there."""
        facts = _facts(source, device, sampling, precision)
        if method.config.frame_sampler.by_episode():
            key = _key(method, (), facts)
            return self._read(key, device) or self._kept(
                key, scan_clips(method, source, device, sampling=sampling, precision=precision)
            )
        keys = {name: _key(method, _upstream(method, name), facts) for name in method.read_by_heads()}
        known: dict[str, Tensor] = {}
        for key in keys.values():
            known |= self._read(key, device) or {}
        missing = tuple(name for name in keys if name not in known)
        if missing:
            made = embed_clips(method, source, device, names=missing, sampling=sampling, precision=precision)
            for name in missing:
                known |= self._kept(keys[name], {name: made[name]})
        return known

    def of_step(
        self, method: Method, source: ClipSource, device: torch.device, name: str, precision: Precision = "fp32"
    ) -> Tensor:
        """(clips, ...) outputs of one step, in main memory, in half precision where that loses nothing.

        Where the table is kept, these are pages of its file, which all processes on the machine share. One of them
        makes a missing table; those that ask for it meanwhile wait.
        """
        key = _key(method, _upstream(method, name), _facts(source, device, None, precision))
        found = self._stored(key)
        if found is None:
            with self._alone(key):
                found = self._stored(key)
                if found is None:
                    made = embed_clips(method, source, device, names=(name,), sampling=None, precision=precision)
                    self._kept(key, made)
                    found = self._stored(key) or made
        return found[name].cpu()

    def _read(self, key: str, device: torch.device) -> dict[str, Tensor] | None:
        """In float32, on ``device`` if it fits there. None where it is not there."""
        stored = self._stored(key)
        if stored is None:
            return None
        place = home(sum(4 * own.numel() for own in stored.values()), device)
        return {name: own.to(place, torch.float32) for name, own in stored.items()}

    def _stored(self, key: str) -> dict[str, Tensor] | None:
        """Pages of its file. None where it is not there. A damaged file is removed: it is made again."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                about: dict[str, str] = file.metadata() or {}
                stored: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            sound = about.get("key") == key and about.get("checksum") == _checksum(stored)
        except FileNotFoundError:
            return None
        except SafetensorError:
            sound, stored = False, {}
        if not sound:
            path.unlink(missing_ok=True)
            return None
        with suppress(FileNotFoundError):  # another process may have made room meanwhile; what is open stays
            os.utime(path)
        return stored

    def _kept(self, key: str, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """Gives ``tables`` back."""
        if not self.limit:
            return tables
        stored = {name: _narrowed(own) for name, own in tables.items()}
        size = sum(own.nbytes for own in stored.values())
        self.root.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.root)
        if self._makes_room(size):
            with written_aside(self._path(key)) as aside:
                save_file(stored, aside, {"key": key, "checksum": _checksum(stored)})
        return tables

    def _makes_room(self, size: int) -> bool:
        """Removes what was not used for longest. False where there can be no room."""
        if size > self.limit:
            return False
        present = sorted(_files(self.root), key=lambda file: file[1])
        total = sum(own for _, _, own in present)
        for path, _, own in present:
            if total + size <= self.limit:
                break
            path.unlink(missing_ok=True)
            total -= own
        return shutil.disk_usage(self.root).free >= size + _SPARED

    def _alone(self, key: str) -> AbstractContextManager[object]:
        """While one process makes a table. A few tables share a lock, so that there are never many."""
        if not self.limit:
            return nullcontext()
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{content_id(key)[:2]}.lock")

    def _path(self, key: str) -> Path:
        return self.root / f"{content_id(key)}{_SUFFIX}"


def _files(root: Path) -> Iterable[tuple[Path, int, int]]:
    """Path, time of last use, bytes; of tables only, whatever else lies there. Another process may remove some
    meanwhile."""
    for path in root.glob(f"{'[0-9a-f]' * 16}{_SUFFIX}"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        yield path, found.st_mtime_ns, found.st_size


def _facts(
    source: ClipSource, device: torch.device, sampling: FrameSampling | None, precision: Precision
) -> dict[str, Any]:
    """All but the method. Devices and versions of torch round differently."""
    config = source.config
    listed = [text for clip in source.clips for text in (clip.name, str(clip.frames), repr(clip.fps))]
    return {
        "clips": [source.fingerprint, source.split, content_id(*listed)],
        "data": config.model_dump(mode="json", exclude=_NOT_OF_TESTS),
        "sampling": sampling or config.test_sampling,
        "precision": precision,
        "device": device.type,
        "torch": str(torch.__version__),
        "code": _code(),
    }


def _key(method: Method, steps: tuple[str, ...], facts: dict[str, Any]) -> str:
    """Without ``steps``: of the scans, which the backbone has no part in."""
    config = method.config
    chosen = [step for step in config.steps if step.name in steps]
    parts: dict[str, Any] = {"frame_sampler": config.frame_sampler.model_dump(mode="json")}
    if steps:
        parts["backbone"] = config.backbone.model_dump(mode="json")
        parts["steps"] = [[step.model_dump(mode="json"), method.wiring.reads[step.name]] for step in chosen]
    modules = ["frame_sampler", *(["backbone"] if steps else []), *(f"steps.{step.name}" for step in chosen)]
    return json.dumps({**facts, "parts": parts, "weights": _weights(method, modules)}, sort_keys=True)


def _upstream(method: Method, name: str) -> tuple[str, ...]:
    """The named step and all that it is computed from."""
    found, waiting = {name}, [name]
    while waiting:
        fresh = set(method.wiring.reads.get(waiting.pop(), ())) - found
        found |= fresh
        waiting += fresh
    return tuple(sorted(found))


def _weights(method: Method, modules: list[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, own in sorted(method.state_dict().items()):
        if any(name.startswith(f"{module}.") for module in modules):
            digest.update(f"{name} {own.dtype} {tuple(own.shape)}\n".encode())
            digest.update(_bytes(own.cpu()))
    return digest.hexdigest()


@cache
def _code() -> str:
    """Of the sources that pixels and features come from: after a change nothing stale is read."""
    here = Path(__file__).parent
    files = sorted(
        path for part in _CODE for path in ([here / part] if part.endswith(".py") else here.glob(f"{part}/**/*.py"))
    )
    return content_id(*(text for path in files for text in (str(path.relative_to(here)), path.read_text())))


def _narrowed(table: Tensor) -> Tensor:
    """In main memory; in half the bytes where that loses nothing, as of what autocast computed in half precision."""
    table = table.cpu()
    for dtype in (torch.bfloat16, torch.float16):
        if all(torch.equal(part.to(dtype).float(), part) for part in table.split(_CLIPS_AT_ONCE)):
            return table.to(dtype)
    return table.contiguous()


def _checksum(tables: Mapping[str, Tensor]) -> str:
    value = 0
    for name, own in sorted(tables.items()):
        value = zlib.crc32(_bytes(own), zlib.crc32(f"{name} {own.dtype} {tuple(own.shape)}".encode(), value))
    return f"{value:08x}"


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().data
