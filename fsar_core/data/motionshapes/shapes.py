"""Flat shapes as signed distance fields, about unit size: negative inside, and correct where it counts, near the edge.

Distance functions after Inigo Quilez, https://iquilezles.org/articles/distfunctions2d/. To pixels only
+, -, *, /, sqrt, min and max are applied: these give the same bits on every processor.
"""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
Kind = Literal["circle", "square", "triangle", "star", "cross"]
KINDS: tuple[Kind, ...] = get_args(Kind)

REACH = 1.4
"""No shape of radius 1 extends further than this from its centre."""

DEPTHS: Mapping[Kind, float] = {"circle": 1.0, "square": 0.85, "triangle": 0.7, "star": 0.58, "cross": 0.38}
"""Largest distance from the edge inside a shape of radius 1."""

_SINE_60 = np.float32(0.8660254)
_TRIANGLE_INRADIUS = np.float32(0.7)
_STAR_INRADIUS = np.float32(0.58)
_SQUARE_HALF_SIDE = np.float32(0.85)
_CROSS_LENGTH, _CROSS_WIDTH = np.float32(1.05), np.float32(0.38)


def distance(kind: Kind, x: Pixels, y: Pixels) -> Pixels:
    """Signed distance of the points (x, y) to the edge of a shape of radius 1 about the origin."""
    return _DISTANCES[kind](x, y)


def notch_distance(x: Pixels, y: Pixels, sine: Pixels, cosine: Pixels) -> Pixels:
    """Signed distance to all but a wedge with its tip at the origin that opens towards +x: positive in the wedge.

    ``sine`` and ``cosine`` belong to half the opening angle, which is below 90 degrees. To cut the wedge out of a
    shape, take the maximum of both distances.
    """
    ahead = x * sine - np.abs(y) * cosine
    return np.where(x > 0, ahead, -np.sqrt(x * x + y * y))


def _circle(x: Pixels, y: Pixels) -> Pixels:
    return np.sqrt(x * x + y * y) - np.float32(1)


def _square(x: Pixels, y: Pixels) -> Pixels:
    return np.maximum(np.abs(x), np.abs(y)) - _SQUARE_HALF_SIDE


def _triangle(x: Pixels, y: Pixels) -> Pixels:
    return np.maximum(np.abs(x) * _SINE_60 - y * np.float32(0.5), y) - _TRIANGLE_INRADIUS


def _star(x: Pixels, y: Pixels) -> Pixels:
    side = np.abs(x) * _SINE_60
    half = y * np.float32(0.5)
    return np.minimum(np.maximum(side - half, y), np.maximum(side + half, -y)) - _STAR_INRADIUS


def _cross(x: Pixels, y: Pixels) -> Pixels:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - _CROSS_LENGTH, y - _CROSS_WIDTH), np.maximum(x - _CROSS_WIDTH, y - _CROSS_LENGTH))


_DISTANCES: dict[Kind, Callable[[Pixels, Pixels], Pixels]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
}
