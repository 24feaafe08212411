"""Frame samplers inside a method. What exists is the union below; a new one is a file here and a member there."""

from fsar_core.frame_samplers.keep_all import KeepAll

FrameSamplerConfig = KeepAll.Config

FRAME_SAMPLERS = (KeepAll.Config,)
