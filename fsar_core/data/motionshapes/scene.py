"""All that is drawn for one clip, before it is painted.

Nothing here depends on whether the clip shows a pair's forward or backward class, and the nuisance is as likely as its
own reversal: neither the background nor a distractor tells in which direction the clip is played.
"""

from dataclasses import dataclass, replace

import numpy as np

from fsar_core.data.motionshapes.classes import Pair
from fsar_core.data.motionshapes.poses import Colour, Pose, Traits, draw_colour, draw_traits, rest
from fsar_core.data.motionshapes.shapes import KINDS, REACH, Kind
from fsar_core.data.motionshapes.timing import Drift, Floats, TimeCourse, draw_drift, draw_time_course, portable

WIDTH, HEIGHT = 96, 72
"""Pixels of a frame."""
FRAMES = (24, 44)
"""Fewest and most frames of a clip."""


@dataclass(frozen=True, kw_only=True)
class Distractor:
    """A small shape that wanders behind the actor."""

    kind: Kind
    colour: Colour
    radius: float
    x: Drift
    y: Drift
    angle: Drift


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A soft spot of the background."""

    tint: Colour
    """Added at the centre; may be negative."""
    width: float
    """Standard deviation, pixels."""
    x: Drift
    y: Drift


@dataclass(frozen=True, kw_only=True)
class Stripes:
    """A plane wave over the background."""

    tint: Colour
    """Amplitude, may be negative."""
    across: float
    """Radians per pixel to the right."""
    down: float
    """Radians per pixel downwards."""
    phase: Drift


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One clip of a pair's forward class, played forwards."""

    course: TimeCourse
    traits: Traits
    pose: Pose
    """Placed in the frame."""
    ground: Colour
    blobs: tuple[Blob, ...]
    stripes: Stripes
    distractors: tuple[Distractor, ...]

    @property
    def frames(self) -> int:
        return self.course.frames


def draw_scene(pair: Pair, rng: np.random.Generator) -> Scene:
    frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
    course = draw_time_course(rng, frames=frames, durations=pair.durations)
    traits = draw_traits(rng)
    for atom in pair.atoms:
        if atom.kind is not None:
            traits = replace(traits, kinds=(atom.kind, traits.kinds[1]))
    pose = pair.animate(rest(traits, frames), traits, course.progress())
    return Scene(
        course=course,
        traits=traits,
        pose=_placed(pose, traits, rng),
        ground=_draw_tint(rng, 40.0, 110.0),
        blobs=tuple(_draw_blob(rng) for _ in range(3)),
        stripes=_draw_stripes(rng),
        distractors=tuple(_draw_distractor(rng) for _ in range(int(rng.integers(1, 3)))),
    )


def along_axis(traits: Traits, separation: Floats) -> tuple[Floats, Floats]:
    """Horizontal and vertical offset of the second of two shapes from their middle; the first one's is the opposite."""
    axis = np.array([traits.axis])
    return separation / 2 * portable(np.cos(axis)), separation / 2 * portable(np.sin(axis))


def _placed(pose: Pose, traits: Traits, rng: np.random.Generator) -> Pose:
    """Moves the whole performance to a random place where all of it is in view, or to the middle if it is too large."""
    across, down = along_axis(traits, pose.separation)
    reach = 0.9 * pose.radius
    x = _shift(rng, pose.x - abs(across) - reach, pose.x + abs(across) + reach, WIDTH)
    y = _shift(rng, pose.y - abs(down) - reach, pose.y + abs(down) + reach, HEIGHT)
    return replace(pose, x=pose.x + x, y=pose.y + y)


def _shift(rng: np.random.Generator, low: Floats, high: Floats, size: int) -> float:
    slack = size - float(high.max() - low.min())
    place = rng.uniform(0.0, 1.0)
    return -float(low.min()) + (place * slack if slack > 0 else slack / 2)


def _draw_distractor(rng: np.random.Generator) -> Distractor:
    return Distractor(
        kind=KINDS[int(rng.integers(len(KINDS)))],
        colour=draw_colour(rng),
        radius=rng.uniform(3.5, 6.0),
        x=draw_drift(rng, span=(0.0, WIDTH), speed=0.9, sway=6.0),
        y=draw_drift(rng, span=(0.0, HEIGHT), speed=0.7, sway=6.0),
        angle=draw_drift(rng, span=(0.0, 2 * np.pi), speed=0.12, sway=0.5),
    )


def _draw_blob(rng: np.random.Generator) -> Blob:
    return Blob(
        tint=_draw_tint(rng, -70.0, 70.0),
        width=rng.uniform(8.0, 22.0),
        x=draw_drift(rng, span=(0.0, WIDTH), speed=0.6, sway=3.0),
        y=draw_drift(rng, span=(0.0, HEIGHT), speed=0.5, sway=3.0),
    )


def _draw_stripes(rng: np.random.Generator) -> Stripes:
    return Stripes(
        tint=_draw_tint(rng, -18.0, 18.0),
        across=rng.uniform(-0.45, 0.45),
        down=rng.uniform(-0.45, 0.45),
        phase=draw_drift(rng, span=(0.0, 2 * np.pi), speed=0.12, sway=0.3),
    )


def _draw_tint(rng: np.random.Generator, low: float, high: float) -> Colour:
    return rng.uniform(low, high), rng.uniform(low, high), rng.uniform(low, high)


def extent(radius: Floats) -> float:
    """Pixels around a centre that the largest shape of these radii can touch, stretched or not, with its soft edge."""
    return REACH * 1.6 * float(radius.max()) + 2.0
