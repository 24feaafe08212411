"""What all makers of masks share."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class MaskProducer(Protocol):
    """One object may be asked for many clips."""

    @property
    def name(self) -> str:
        """For the record."""
        ...

    @property
    def model(self) -> str:
        """Which weights, for the record."""
        ...

    def segment(self, frames: NDArray[np.uint8], prompt: str, canvas: int) -> NDArray[np.float32]:
        """Frames of one clip (n, H, W, 3) RGB, in their order, to masks (n, canvas, canvas) in [0, 1].

        The canvas is the whole frame, squeezed to a square. An empty mask is all zero.
        """
        ...
