"""Instance masks on disk: ``<root>/<clip name>.npz`` for each clip, and ``<root>/manifest.json``, which names them all.

A mask covers the whole frame, squeezed to a square canvas. A file has ``masks`` (n, h, w) uint8, 0 outside to 255
inside, or bit-packed along rows (n, h, ceil(w / 8)); ``frame_index`` (n,), ascending, which frame of the clip each
belongs to, counted from 0 as decoded; and ``meta``, a ``MaskMeta`` as JSON text.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from fsar_core.aside import written_aside
from fsar_core.frozen import Frozen

MANIFEST = "manifest.json"


class MaskError(Exception):
    """Masks that cannot be used or made; says where, and what to do."""


class _Foreign(Frozen):
    """May come from a program outside: what it says beyond the fields is left aside."""

    model_config = ConfigDict(extra="ignore")


class MaskMeta(_Foreign):
    """Who made the masks of a file, and how they are stored."""

    producer: str
    model: str
    prompt: str
    threshold: float | None = None
    """None: soft masks."""
    canvas: tuple[int, int]
    """Height and width."""
    dtype: Literal["uint8", "bits"] = "uint8"
    video: str = ""
    """Hash of the video's bytes; empty where the producer did not note it."""


class MaskRecord(_Foreign):
    """What the manifest keeps of a file."""

    bytes: int
    blake2b: str
    """Of the file's content, 16 bytes in hexadecimal digits."""
    split: str
    masks: int | None = None
    """How many frames have one; None where the producer did not say."""
    video: str = ""
    """Hash of the video's bytes, as ``fsar masks make`` notes it; empty where the producer did not: then nobody sees
    that a video changed."""


class MaskManifest(_Foreign):
    """Written last."""

    dataset: str
    producer: str
    canvas: tuple[int, int]
    dtype: Literal["uint8", "bits"] = "uint8"
    files: dict[str, MaskRecord]
    """By clip name."""


@dataclass(frozen=True)
class StoredMasks:
    """A file, read."""

    stored: NDArray[np.uint8]
    frame_index: NDArray[np.int64]
    meta: MaskMeta

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(len(rows), h, w), 0 to 255."""
        if self.meta.dtype == "uint8":
            return self.stored[rows]
        return np.unpackbits(self.stored[rows], axis=-1, count=self.meta.canvas[1]) * np.uint8(255)


def mask_path(root: Path, clip_name: str) -> Path:
    """Of a clip's file. Raises MaskError for a name that leads out of ``root``, also by a link."""
    inside = root.resolve()
    path = (inside / f"{clip_name}.npz").resolve()
    if not path.is_relative_to(inside):
        raise MaskError(f"mask files must lie in {root}, but that of {clip_name!r} is {path}; move it there")
    return path


def digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def write_masks(path: Path, masks: NDArray[np.float32], frame_index: Sequence[int], meta: MaskMeta) -> None:
    """``masks`` (n, h, w) in [0, 1]. With ``bits``, what reaches ``meta.threshold`` is inside."""
    if meta.dtype == "bits":
        assert meta.threshold is not None
        stored = np.packbits(masks >= meta.threshold, axis=-1)
    else:
        stored = np.rint(masks.clip(0, 1) * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(
            file,
            masks=stored,
            frame_index=np.array(frame_index, dtype=np.int32),
            meta=np.array(json.dumps(meta.model_dump(mode="json"), sort_keys=True)),
        )


def parse_masks(content: bytes, path: Path) -> StoredMasks:
    """A file's masks; ``path`` is named in errors. Raises MaskError for anything but such a file."""
    try:
        # never a pickle: a mask file from elsewhere must not run code
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            masks, index = arrays["masks"], arrays["frame_index"]
            meta = MaskMeta.model_validate_json(str(arrays["meta"]))
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise MaskError(f"{path}: not a file of masks ({type(error).__name__}: {error}); make it again") from error
    height, width = meta.canvas
    stored = (height, -(-width // 8) if meta.dtype == "bits" else width)
    if masks.dtype != np.uint8 or masks.shape != (len(masks), *stored):
        raise MaskError(
            f"{path}: masks must be uint8 of {len(index), *stored} for canvas {height}x{width} as {meta.dtype}, "
            f"got {masks.dtype} of {masks.shape}; make it again"
        )
    rising = index.ndim == 1 and index.dtype.kind in "iu" and bool((np.diff(index, prepend=-1) > 0).all())
    if len(index) != len(masks) or not rising:
        raise MaskError(f"{path}: frame_index must be {len(masks)} ascending numbers from 0 on; make it again")
    return StoredMasks(masks, index.astype(np.int64), meta)


def read_manifest(root: Path) -> MaskManifest:
    """Raises MaskError where there is none, or none that can be understood."""
    path = root / MANIFEST
    try:
        return MaskManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MaskError(f"no masks in {root}: {MANIFEST}: {error.strerror or error}") from error
    except ValueError as error:
        raise MaskError(f"{path} is not a manifest of masks: {error}") from error


def write_manifest(root: Path, manifest: MaskManifest) -> None:
    with written_aside(root / MANIFEST) as aside:
        aside.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
