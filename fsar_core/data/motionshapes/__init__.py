"""MotionShapes, the built-in benchmark: real H.264 files of shapes that act on a moving, cluttered background.

Classes come in pairs that are each other's time reversal in distribution, so only the order of frames tells them apart.
"""

from fsar_core.data.motionshapes.classes import CLASSES, CLIPS_PER_CLASS, partner
from fsar_core.data.motionshapes.clips import Rendered, render
from fsar_core.data.motionshapes.dataset import VERSION, ForeignFolderError, is_complete, make

__all__ = [
    "CLASSES",
    "CLIPS_PER_CLASS",
    "VERSION",
    "ForeignFolderError",
    "Rendered",
    "is_complete",
    "make",
    "partner",
    "render",
]
