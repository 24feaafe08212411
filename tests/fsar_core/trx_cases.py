"""Matchers and inputs that the tests of TRX share."""

from typing import Any

import torch

from fsar_core.episode import Features, Shape
from fsar_core.matchers import Trx
from tests.fsar_core.matcher_cases import randn


def matcher(dim: int = 6, frames: int = 4, **fields: Any) -> Trx:
    """In float64 and eval mode, with weights so large that attention is far from even."""
    torch.manual_seed(5)
    config = Trx.Config.model_validate({"cardinalities": (2, 3), "out_dim": 5, **fields})
    made = config.build(Shape(level="frame", frames=frames, dim=dim)).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64))
    return made


def features(
    *batch: int, way: int = 3, shot: int = 2, queries: int = 4, frames: int = 4, query_frames: int | None = None
) -> Features:
    return Features(
        support=randn(*batch, way, shot, frames, 6), query=randn(*batch, queries, query_frames or frames, 6, seed=1)
    )
