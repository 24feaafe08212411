"""Small frame stores in the layouts that people have; every frame is of one grey, which says its number."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STEP = 8
"""Grey levels between two frames; a JPEG of one grey keeps it."""


def image(number: int, kind: str = "jpg", *, height: int = 24, width: int = 32) -> bytes:
    pixels = np.full((height, width, 3), number * STEP, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG" if kind == "png" else "JPEG", quality=95)
    return stream.getvalue()


def numbers_of(frames: NDArray[np.uint8]) -> list[int]:
    return [round(float(frame.mean()) / STEP) for frame in frames]


def names(count: int, *, digits: int = 8, first: int = 1, before: str = "", kind: str = "jpg") -> list[str]:
    return [f"{before}{number:0{digits}d}.{kind}" for number in range(first, first + count)]


def write_frames(folder: Path, files: Iterable[str]) -> Path:
    """The n-th file of the list shows n."""
    folder.mkdir(parents=True)
    for number, name in enumerate(files):
        (folder / name).write_bytes(image(number, name.rpartition(".")[2]))
    return folder


def write_zip(path: Path, folders: Iterable[str], files: Iterable[str] = (), *, packed: bool = False) -> Path:
    """Frames in each of ``folders``."""
    kept = list(files) or names(8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for folder in folders:
            for number, name in enumerate(kept):
                archive.writestr(f"{folder}/{name}", image(number, name.rpartition(".")[2]))
    return path
