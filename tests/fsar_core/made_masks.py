"""Mask files made up for tests, and a method that needs them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fsar_core.config import RunConfig
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.mask_files import (
    MaskManifest,
    MaskMeta,
    MaskRecord,
    digest,
    mask_path,
    write_manifest,
    write_masks,
)
from fsar_core.losses import MaskRegression
from fsar_core.mask_settings import MaskSettings
from fsar_core.method import MethodConfig
from tests.fsar_core import tiny

LONGEST = 12
"""Frames of the longest of tiny's made clips."""


def meta(canvas: tuple[int, int], *, threshold: float | None = None, video: str = "") -> MaskMeta:
    kind = "uint8" if threshold is None else "bits"
    return MaskMeta(
        producer="made", model="none", prompt="p", threshold=threshold, canvas=canvas, dtype=kind, video=video
    )


def numbered(count: int, canvas: int) -> NDArray[np.float32]:
    """(count, canvas, canvas): all pixels of frame i are i / 255."""
    values = (np.arange(count) / 255).astype(np.float32)
    return np.broadcast_to(values[:, None, None], (count, canvas, canvas)).copy()


def put(root: Path, name: str, masks: NDArray[np.float32], frames: list[int] | None = None) -> None:
    height, width = masks.shape[1:]
    index = list(range(len(masks))) if frames is None else frames
    write_masks(mask_path(root, name), masks, index, meta((height, width)))


def write_listing(
    root: Path, canvas: tuple[int, int], counts: dict[str, int] | None = None, *, dataset: str = "made", video: str = ""
) -> None:
    """A manifest of the files that are there; ``counts`` gives their frames where it says so."""
    files: dict[str, MaskRecord] = {}
    for path in sorted(root.rglob("*.npz")):
        content = path.read_bytes()
        name = path.relative_to(root).as_posix().removesuffix(".npz")
        files[name] = MaskRecord(
            bytes=len(content), blake2b=digest(content), split="train", masks=(counts or {}).get(name), video=video
        )
    write_manifest(root, MaskManifest(dataset=dataset, producer="made", canvas=canvas, files=files))


def made_masks(root: Path, index: ClipIndex, canvas: int = tiny.SIZE) -> Path:
    """Numbered masks of all train clips of an index."""
    for clip in index.of("train"):
        put(root, clip.name, numbered(LONGEST, canvas))
    write_listing(root, (canvas, canvas), dataset=index.dataset)
    return root


def masked_method(settings: MaskSettings | None = None) -> MethodConfig:
    """The tiny baseline, which also regresses masks from the backbone's map."""
    loss = MaskRegression.Config(reads="backbone", mid=8, channels=(8, 8), ups=(4, 4), masks=settings or MaskSettings())
    return tiny.METHODS["baseline"].model_copy(update={"losses": (loss,)})


def masked_run(settings: MaskSettings | None = None, *, steps: int = 6) -> RunConfig:
    return tiny.recipe(steps=steps).few_shot(masked_method(settings))
