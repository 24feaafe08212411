"""STRM's frame-level enrichment (FLE): an MLP mixer over the frames of a video, then over their channels.

Thatipelli et al., CVPR 2022, https://arxiv.org/abs/2112.05132, section 3.2, as in https://github.com/Anirudh257/strm.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Shape
from fsar_core.positions import trx_positions
from fsar_core.stages.base import StageBase


class FrameEnrichment(nn.Module):
    """Two layers of T x T, shared by all channels, then two of D x D, shared by all frames; each pair with a residual.

    No layer norm anywhere. The T x T layers tie trained weights to their number of frames.
    """

    class Config(StageBase):
        """The paper's formula: ``positions`` false, ``dropout`` 0. Biases are the code's."""

        kind: Literal["frame_enrichment"] = "frame_enrichment"
        positions: bool = True
        """Adds TRX's position code of the frames. In the code, not in the paper."""
        dropout: float = Field(default=0.1, ge=0, lt=1)
        """On the frames with their positions, in training. In the code, not in the paper."""

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """The shape it reads. Raises ValueError unless these are frame features."""
            if shape.level != "frame":
                raise ValueError(
                    f"frame_enrichment needs frame features, but gets a {shape.level}; put a patch_enrichment or a "
                    "spatial_pool before it"
                )
            return shape

        def build(self, shape: Shape, *, classes: int) -> "FrameEnrichment":
            return FrameEnrichment(self, shape)

    positions: Tensor

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.over_frames = _two_layers(shape.frames)
        self.over_channels = _two_layers(shape.dim)
        table = trx_positions(shape.frames, shape.dim)
        self.register_buffer("positions", table if config.positions else torch.zeros_like(table), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D) to (V, T, D)."""
        frames = F.dropout(features + self.positions.to(features.dtype), self.dropout, self.training)
        mixed = self.over_frames(frames.mT).mT + frames
        return self.over_channels(mixed) + mixed


def _two_layers(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
