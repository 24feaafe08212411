"""The state of the acting shape in every frame, and what is drawn once per clip and says nothing about the class."""

from dataclasses import dataclass

import numpy as np

from fsar_core.data.motionshapes.shapes import KINDS, Kind
from fsar_core.data.motionshapes.timing import Floats

Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 255."""


@dataclass(frozen=True, kw_only=True)
class Traits:
    """Appearance and extent of one performance."""

    kinds: tuple[Kind, Kind]
    """Of the first and the second shape; the second is only seen in actions of two shapes."""
    colours: tuple[Colour, Colour]
    radius: float
    """Pixels."""
    travel: float
    """Pixels that a move covers."""
    veer: float
    """Radians by which a move misses its direction."""
    facing: float
    """Radians, orientation of the shape."""
    axis: float
    """Radians, direction from the first to the second of two shapes."""
    swing: float
    """Radians that a turn covers."""
    contrast: float
    """Fraction of the light that remains at the dark end."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """The acting shape over time; every field is (frames,)."""

    x: Floats
    """Pixels, to the right."""
    y: Floats
    """Pixels, downwards."""
    radius: Floats
    """Pixels."""
    angle: Floats
    """Radians, clockwise on the screen."""
    stretch: Floats
    """Natural logarithm of width over height, halved; 0 keeps the shape."""
    notch: Floats
    """Radians, half the opening of the wedge cut out in the direction of ``angle``; 0 for none."""
    fill: Floats
    """0 an outline, 1 all filled."""
    roundness: Floats
    """0 the shape's own kind, 1 a circle."""
    opacity: Floats
    shade: Floats
    """Factor on the colour, 1 for full light."""
    separation: Floats
    """Pixels between the centres of two shapes; 0 throughout for one shape."""


def rest(traits: Traits, frames: int) -> Pose:
    """Nothing happens, at the origin."""
    zeros, ones = np.zeros(frames), np.ones(frames)
    return Pose(
        x=zeros,
        y=zeros,
        radius=traits.radius * ones,
        angle=traits.facing * ones,
        stretch=zeros,
        notch=zeros,
        fill=ones,
        roundness=zeros,
        opacity=ones,
        shade=ones,
        separation=zeros,
    )


def draw_traits(rng: np.random.Generator) -> Traits:
    first, second = rng.integers(len(KINDS), size=2)
    return Traits(
        kinds=(KINDS[first], KINDS[second]),
        colours=(draw_colour(rng), draw_colour(rng)),
        radius=rng.uniform(9.5, 13.5),
        travel=rng.uniform(28.0, 44.0),
        veer=rng.uniform(-0.17, 0.17),
        facing=rng.uniform(0.0, 2 * np.pi),
        axis=rng.uniform(0.0, 2 * np.pi),
        swing=rng.uniform(2.4, 3.8),
        contrast=rng.uniform(0.15, 0.3),
    )


def draw_colour(rng: np.random.Generator) -> Colour:
    """Bright and saturated, of any hue."""
    hue, low, high = rng.uniform(0.0, 6.0), rng.uniform(20.0, 70.0), rng.uniform(215.0, 255.0)
    red, green, blue = (min(max(abs((hue - peak) % 6.0 - 3.0) - 1.0, 0.0), 1.0) for peak in (0.0, 2.0, 4.0))
    return low + (high - low) * red, low + (high - low) * green, low + (high - low) * blue
