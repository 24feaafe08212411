"""The configs and inputs that the tests of matchers share."""

import torch
from torch import Tensor

from fsar_core.episode import Features, Shape
from fsar_core.matchers import BiMhm, MatcherConfig, Otam, ProtoNet, TimeAveraged
from fsar_core.seeds import derived_seed

SHAPE = Shape(level="frame", frames=8, dim=64)

FrameMatcherConfig = Otam.Config | BiMhm.Config | ProtoNet.Config | TimeAveraged.Config
"""Matchers of frames without weights."""

VARIANTS: tuple[FrameMatcherConfig, ...] = (
    *(
        Otam.Config(shots=s, directions=d)
        for s in ("distances", "features", "nearest")
        for d in ("both", "query_to_support")
    ),
    *(BiMhm.Config(shots=s, reduction=r) for s in ("distances", "features", "nearest") for r in ("sum", "mean")),
    BiMhm.Config(directions="query_to_support"),
    ProtoNet.Config(),
    ProtoNet.Config(cosine_eps=0.01),
    TimeAveraged.Config(),
    TimeAveraged.Config(distance="squared_euclidean"),
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(derived_seed(seed, "matcher test", *shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def logits(config: MatcherConfig, features: Features) -> Tensor:
    return config.build(SHAPE)(features).logits
