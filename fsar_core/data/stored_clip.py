"""The kept frames of one clip in the frame cache, copied out by their numbers in the video."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from fsar_core.data.jpeg import decoded


class NotKept(LookupError):  # noqa: N818 - reads as what it is where it is raised
    """Frames that this cache does not hold."""


class StoredClip(ABC):
    """``numbers`` are those of its rows in the video, increasing."""

    def __init__(self, numbers: NDArray[np.int32], height: int, width: int) -> None:
        self.numbers, self.height, self.width = numbers, height, width

    def pick(self, numbers: NDArray[np.int64], out: NDArray[np.uint8], top: int = 0, left: int = 0) -> None:
        """Copies the windows of ``out``'s size, (len(numbers), h, w, 3), that begin at (top, left). Repeats are fine.

        Raises NotKept for numbers that are not in the cache.
        """
        rows = np.searchsorted(self.numbers, numbers)
        absent = (rows == len(self.numbers)) | (self.numbers[rows.clip(max=len(self.numbers) - 1)] != numbers)
        if absent.any():
            raise NotKept(f"frames {numbers[absent].tolist()}")
        _, height, width, _ = out.shape
        window = np.s_[top : top + height, left : left + width]
        # frame by frame: twice as fast as one indexing of rows, lines and columns
        for target, row in zip(out, rows.tolist(), strict=True):
            target[...] = self.frame(row)[window]

    def frames(self) -> NDArray[np.uint8]:
        """A copy of all kept frames, (rows, H, W, 3)."""
        return np.stack([self.frame(row) for row in range(len(self.numbers))])

    @abstractmethod
    def frame(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3); perhaps a view of the file, which cannot be written."""

    @abstractmethod
    def stored(self) -> NDArray[np.uint8]:
        """All bytes in the file, in the order of rows."""


class RawClip(StoredClip):
    """A view of the mapped file."""

    def __init__(self, numbers: NDArray[np.int32], pixels: NDArray[np.uint8]) -> None:
        super().__init__(numbers, *pixels.shape[1:3])
        self._pixels = pixels

    def frame(self, row: int) -> NDArray[np.uint8]:
        return self._pixels[row]

    def stored(self) -> NDArray[np.uint8]:
        return self._pixels


class JpegClip(StoredClip):
    """Decoded whenever it is read."""

    def __init__(
        self,
        numbers: NDArray[np.int32],
        height: int,
        width: int,
        offsets: NDArray[np.int64],
        content: NDArray[np.uint8],
    ) -> None:
        super().__init__(numbers, height, width)
        self._offsets, self._content = offsets, content

    def frame(self, row: int) -> NDArray[np.uint8]:
        return decoded(self._content[self._offsets[row] : self._offsets[row + 1]])

    def stored(self) -> NDArray[np.uint8]:
        return self._content
