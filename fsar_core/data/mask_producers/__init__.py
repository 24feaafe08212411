"""Programs that make instance masks of frames, behind one interface; each a file here and a member of ``PRODUCERS``."""

from typing import Literal, get_args

from fsar_core.data.mask_producers.base import MaskProducer
from fsar_core.data.mask_producers.clipseg import ClipSeg
from fsar_core.data.mask_producers.motion import Motion

__all__ = ["PRODUCERS", "ClipSeg", "MaskProducer", "Motion", "ProducerName"]

ProducerName = Literal["motion", "clipseg"]
PRODUCERS: tuple[ProducerName, ...] = get_args(ProducerName)
