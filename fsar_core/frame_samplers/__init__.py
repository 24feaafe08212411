"""Frame samplers inside a method. What exists is the union below; a new one is a file here and a member there."""

from typing import Annotated

from pydantic import Field

from fsar_core.frame_samplers.base import FrameSampler, Scan
from fsar_core.frame_samplers.evenly import Evenly
from fsar_core.frame_samplers.keep_all import KeepAll
from fsar_core.frame_samplers.mg_sampler import MgSampler
from fsar_core.frame_samplers.video_sampler import VideoSampler

__all__ = [
    "FRAME_SAMPLERS",
    "Evenly",
    "FrameSampler",
    "FrameSamplerConfig",
    "KeepAll",
    "MgSampler",
    "Scan",
    "VideoSampler",
]

FrameSamplerConfig = Annotated[
    KeepAll.Config | Evenly.Config | VideoSampler.Config | MgSampler.Config, Field(discriminator="kind")
]

FRAME_SAMPLERS = (KeepAll.Config, Evenly.Config, VideoSampler.Config, MgSampler.Config)
"""The members of ``FrameSamplerConfig``."""
