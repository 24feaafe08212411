"""Attention among the frames of a video: HyRSM's hybrid relation module within a video.

Wang et al. (HyRSM), CVPR 2022, https://arxiv.org/abs/2204.13423, as in the released code,
https://github.com/alibaba-mmai-research/HyRSM.
"""

import math
from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Shape
from fsar_core.positions import hyrsm_positions
from fsar_core.stages.base import StageBase


class VideoAttention(nn.Module):
    """A position code, then one layer of pre-norm self-attention over the frames, with a ReLU at its end."""

    class Config(StageBase):
        """Defaults are those of the code for HMDB51, UCF101 and Something-Something."""

        kind: Literal["video_attention"] = "video_attention"
        heads: int = Field(default=8, ge=1)
        """D must be a multiple of it."""
        amplification: float = Field(default=10.0, gt=0)
        """A: features are multiplied by sqrt(D / A) before the position code. On Kinetics and EPIC A = D = 2048."""
        position_scale: float = Field(default=1.0, ge=0)
        """B, factor of the position code: 0.01 on Kinetics, 0.05 on EPIC."""
        position_dropout: float = Field(default=0.1, ge=0, lt=1)
        """After the position code, in training."""
        dropout: float = Field(default=0.2, ge=0, lt=1)
        """After the attention's output, in training."""

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """The shape it reads. Raises ValueError unless these are frame features of a multiple of the heads."""
            if shape.level != "frame":
                raise ValueError(
                    f"video_attention needs frame features, but gets a {shape.level}; put a spatial_pool before it"
                )
            if shape.dim % self.heads:
                raise ValueError(f"heads must divide the {shape.dim} channels of a frame, got {self.heads}")
            return shape

        def build(self, shape: Shape, *, classes: int) -> "VideoAttention":
            return VideoAttention(self, shape)

    positions: Tensor

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.config = config
        self.amplitude = math.sqrt(shape.dim / config.amplification)
        code = config.position_scale * hyrsm_positions(shape.frames, shape.dim)
        self.register_buffer("positions", code, persistent=False)
        self.norm = nn.LayerNorm(shape.dim)
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=False)
        self.out = nn.Linear(shape.dim, shape.dim)

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D) to (V, T, D), at least 0; no video sees another."""
        code = self.positions.to(features.dtype)
        x = F.dropout(features * self.amplitude + code, self.config.position_dropout, self.training)
        return F.relu(x + F.dropout(self.out(self._attend(self.norm(x))), self.config.dropout, self.training))

    def _attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.config.heads, -1)).permute(2, 0, 3, 1, 4)  # (V, heads, T, D')
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
