"""Instance masks, one compressed file per clip: ``masks`` bit-packed, ``frame_index``, and ``meta`` as JSON text."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CANVAS = 64
"""Pixels per side: the whole frame is resized to this square, without keeping its proportions."""
PRODUCER = "motionshapes"


def write_masks(masks: NDArray[np.bool_], label: str, path: Path) -> None:
    """Writes masks (n, H, W) of the frames 0 to n-1. A pixel of the canvas is set if at least half of it is covered.

    ``masks`` in the file is (n, 64, 8) uint8: along a row, the most significant bit of each byte is the leftmost pixel.
    """
    meta = {
        "producer": PRODUCER,
        "model": "exact",
        "prompt": label.replace("_", " "),
        "threshold": 0.5,
        "canvas": [CANVAS, CANVAS],
        "dtype": "bits",
    }
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            masks=np.packbits(_resized(masks), axis=-1),
            frame_index=np.arange(len(masks), dtype=np.int32),
            meta=np.array(json.dumps(meta, sort_keys=True)),
        )


def _resized(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    height, width = masks.shape[1:]
    rows, columns = _overlaps(height), _overlaps(width)
    covered = rows @ masks.astype(np.float32) @ columns.T
    return 2 * covered >= height * width


def _overlaps(size: int) -> NDArray[np.float32]:
    """(CANVAS, size): how much of each pixel of the canvas each source pixel covers, in units of 1 / size of it.

    Whole numbers, so that sums of them are exact in any order.
    """
    start = np.arange(CANVAS)[:, None] * size
    source = np.arange(size)[None, :] * CANVAS
    overlap = np.minimum(start + size, source + CANVAS) - np.maximum(start, source)
    return np.maximum(overlap, 0).astype(np.float32)
