"""Single images from bytes that may come from anywhere: RGB pixels, or a clear reason why there are none."""

import io
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_TAIL = 64  # some writers pad behind the end


class BadImage(Exception):  # noqa: N818 - reads as what it is where it is raised
    """Why an image is refused."""


@dataclass(frozen=True)
class Header:
    height: int
    width: int
    kind: str
    """``jpeg`` or ``png``."""


def header(content: bytes) -> Header:
    """What an image says of itself; one that does not reach its end is decoded to be sure. Raises BadImage."""
    with _opened(content) as image:
        kind = str(image.format)
        if _ENDS[kind] not in content[-_TAIL:]:
            _pixels(image)
        return Header(image.height, image.width, kind.lower())


def decode(content: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) RGB. Raises BadImage."""
    with _opened(content) as image:
        return _pixels(image)


def _opened(content: bytes) -> Image.Image:
    if not content:
        raise BadImage("empty file (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            image = Image.open(io.BytesIO(content), formats=tuple(_ENDS))
    except Image.DecompressionBombError as error:
        raise BadImage(f"larger than {MAX_PIXELS} pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise BadImage("not a JPEG or PNG image") from error
    if image.height * image.width > MAX_PIXELS:
        raise BadImage(f"larger than {MAX_PIXELS} pixels: it says {image.width}x{image.height}")
    return image


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    try:
        return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, zlib.error) as error:
        raise BadImage(f"damaged: {error}") from error
