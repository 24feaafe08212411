"""Single frames as JPEG bytes and back, by Pillow: torchvision decodes in half of the time but will lose its codecs."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encoded(frame: NDArray[np.uint8], quality: int) -> bytes:
    """(H, W, 3) RGB, colours at half resolution as is usual. The same bytes wherever Pillow is the same."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def decoded(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB."""
    with Image.open(io.BytesIO(content.data), formats=["JPEG"]) as image:
        return np.asarray(image.convert("RGB"))
