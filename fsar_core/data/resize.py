"""Frames to the size that the cache keeps. Pillow's integer arithmetic gives the same bytes on every machine."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Resize:
    """Bilinear with antialiasing. A plain value of a run: it decides the pixels that training sees."""

    mode: Literal["squeeze", "short_side"]
    """squeeze: to a square, the aspect ratio is lost. short_side: the aspect ratio stays, so clips differ in size."""
    size: int = Field(ge=8, le=4096)
    """Pixels: the square's side, or the shorter side."""

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after resizing. The longer side is rounded down, as torchvision does."""
        if self.mode == "squeeze":
            return self.size, self.size
        if height <= width:
            return self.size, self.size * width // height
        return self.size * height // width, self.size


def resize_frames(frames: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(n, h, w, 3) to (n, height, width, 3), contiguous."""
    if frames.shape[1:3] == (height, width):
        return np.ascontiguousarray(frames)
    resized = np.empty((len(frames), height, width, 3), np.uint8)
    for target, frame in zip(resized, frames, strict=True):
        target[:] = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))
    return resized
