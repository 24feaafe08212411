"""Episodes of small maps, and the alignment of pairs built for them."""

import torch

from fsar_core.episode import Features, Shape
from fsar_core.matchers.pair_alignment import PairAlignment
from tests.fsar_core.vim_golden import (
    lively,
    made,
)

Config = PairAlignment.Config


def episode(
    way: int = 2,
    shot: int = 1,
    queries: int = 3,
    frames: int = 4,
    dim: int = 4,
    cells: int = 4,
    batch: tuple[int, ...] = (),
) -> Features:
    maps = (frames, dim, cells, cells)
    return Features(support=made(*batch, way, shot, *maps), query=made(*batch, queries, *maps, seed=1))


def built(config: PairAlignment.Config, features: Features) -> PairAlignment:
    frames, dim, cells = features.query.shape[-4:-1]
    shape = Shape(level="map", frames=frames, dim=dim, cells=cells)
    config.check(shape)
    torch.manual_seed(0)
    return lively(config.build(shape))


VARIANTS = (
    Config(),
    Config(perturbation=0.0, offset_scale=0.5),
    Config(rearrange=False),
    Config(spatial="none"),
    Config(rearrange=False, spatial="none"),
    Config(spatial="affine"),
    Config(spatial="enumerate"),
    Config(rearrange=False, spatial="enumerate", max_offset=2),
)
