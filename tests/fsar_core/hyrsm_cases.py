"""HyRSM's parts in float64 and eval mode, and what the tests of them read."""

from typing import Any, TypeVar

import torch
from torch import nn

from fsar_core.episode import Features, Shape
from fsar_core.matchers import SetRelation
from fsar_core.stages import VideoAttention
from tests.fsar_core.matcher_cases import randn

M = TypeVar("M", bound=nn.Module)
DIM, FRAMES = 8, 4
SHAPE = Shape(level="frame", frames=FRAMES, dim=DIM)


def attention(**fields: Any) -> VideoAttention:
    return _lively(VideoAttention.Config.model_validate({"heads": 2, **fields}).build(SHAPE, classes=3))


def relation(**fields: Any) -> SetRelation:
    return _lively(SetRelation.Config.model_validate({"heads": 2, **fields}).build(SHAPE))


def features(
    *batch: int, way: int = 3, shot: int = 2, queries: int = 4, frames: int = FRAMES, query_frames: int = FRAMES
) -> Features:
    return Features(
        support=randn(*batch, way, shot, frames, DIM), query=randn(*batch, queries, query_frames, DIM, seed=1)
    )


def _lively(module: M) -> M:
    """With weights so large that attention is far from even and norms scale and shift."""
    torch.manual_seed(7)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64) * 0.7)
    return module
