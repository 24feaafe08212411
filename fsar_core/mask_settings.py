"""How a run reads stored instance masks. Plain values of a run; where the files lie is the site's business."""

from typing import Literal

from pydantic import Field

from fsar_core.frozen import Frozen


class MaskSettings(Frozen):
    """A field of every loss that reads masks."""

    missing: Literal["error", "skip"] = "error"
    """Of a frame without a stored mask: stop, or give the frame no weight. An empty mask is a target, not missing."""
    stride: int = Field(default=1, ge=1)
    """Frames between two stored masks. A frame takes the nearest stored one less than ``stride`` frames away, the lower
    of two; with 1, its own."""
    canvas: int | None = Field(default=None, ge=1)
    """Pixels per side that the stored masks must have; None: as stored."""
