"""One clip from its name: a pure function of split, class and number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_core.data.motionshapes.classes import CLASSES, Split, pair_of
from fsar_core.data.motionshapes.painting import paint
from fsar_core.data.motionshapes.scene import draw_scene
from fsar_core.seeds import generator

SEED = 0
"""Of the data set. Another seed would be another data set."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """A clip before it is compressed."""

    frames: NDArray[np.uint8]
    """(n, 72, 96, 3)"""
    masks: NDArray[np.bool_]
    """(n, 72, 96), true where the acting shape covers at least half of the pixel; nuisance shapes are never in it."""


def render(split: Split, label: str, number: int) -> Rendered:
    """Clip ``number`` of a class; any number from 0 gives a clip, the data set holds the first ones.

    Raises ValueError for a class that the split does not have.
    """
    if label not in CLASSES[split]:
        raise ValueError(f"the classes of MotionShapes/{split} are {CLASSES[split]}, got {label!r}")
    purpose = f"motionshapes/{split}/{label}"
    return perform(label, generator(SEED, purpose, number), generator(SEED, purpose + "/noise", number))


def perform(label: str, rng: np.random.Generator, noise: np.random.Generator) -> Rendered:
    """A clip of a class from the given draws. Equal draws give a class and its partner the same frames, reversed."""
    pair = pair_of(label)
    frames, masks = paint(draw_scene(pair, rng), noise)
    if label == pair.backward:
        frames, masks = frames[::-1], masks[::-1]
    return Rendered(frames=np.ascontiguousarray(frames), masks=np.ascontiguousarray(masks))
