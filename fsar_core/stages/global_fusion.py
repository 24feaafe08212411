"""Global fusion: a learnable token gathers the whole clip. I2ST, section 3.4, equation 5."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Shape
from fsar_core.positions import hyrsm_positions
from fsar_core.stages.base import StageBase
from fsar_core.stages.residual_attention import FeedForward, SelfAttention, check_heads
from fsar_core.stages.transformer import Positions


class GlobalFusion(nn.Module):
    """One attention layer over [token, frames] + position code: frame to global_local features."""

    class Config(StageBase):
        """Residual, norm and dropout as in MoLo's code; the paper is silent."""

        kind: Literal["global_fusion"] = "global_fusion"
        heads: int = Field(default=8, ge=1)
        attn_dropout: float = Field(default=0.2, ge=0, lt=1)
        pos: Literal["learned", "sincos", "codebase"] = "learned"
        """``codebase`` is MoLo's: x * sqrt(D / ``codebase_a``) + ``codebase_b`` * its own table of sines and cosines,
        then ``codebase_dropout``. The paper says "position embeddings"."""
        codebase_a: float = Field(default=10.0, gt=0)
        """2048 for Kinetics."""
        codebase_b: float = 1.0
        """0.02 for Kinetics."""
        codebase_dropout: float = Field(default=0.1, ge=0, lt=1)
        token_std: float = Field(default=0.02, gt=0)
        """Of the normal distribution of the token's initial values. MoLo's code takes 1, on inputs that it scales by
        about 14."""
        ffn: bool = False
        """A feed-forward behind the attention; table 8 leaves no room for one."""
        ffn_ratio: float = Field(default=1.0, gt=0)
        ffn_dropout: float = Field(default=0.05, ge=0, lt=1)
        out_relu: bool = False
        """A ReLU at the end as in MoLo's code; equation 5 has none."""

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """One vector of the clip, then the frames. Raises ValueError unless it reads frame features whose channels
            the heads divide."""
            if shape.level != "frame":
                raise ValueError(
                    f"global_fusion needs frame features, but gets a {shape.level}; put a stage that pools before it"
                )
            check_heads(shape.dim, self.heads)
            return Shape(level="global_local", frames=shape.frames, dim=shape.dim)

        def build(self, shape: Shape, *, classes: int) -> "GlobalFusion":
            return GlobalFusion(self, shape)

    code: Tensor

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Parameter(torch.empty(shape.dim))
        # cut at four standard deviations: at the usual two absolute units, a std of 1 would become 0.88
        nn.init.trunc_normal_(self.token, std=config.token_std, a=-4 * config.token_std, b=4 * config.token_std)
        length = 1 + shape.frames
        if config.pos == "codebase":
            code = config.codebase_b * hyrsm_positions(length, shape.dim)
            self.register_buffer("code", code, persistent=False)
        else:
            self.positions = Positions(config.pos, length, shape.dim)
        self.attention = SelfAttention(shape.dim, config.heads, dropout=config.attn_dropout)
        hidden = max(1, round(config.ffn_ratio * shape.dim))
        self.feed_forward = FeedForward(shape.dim, hidden, dropout=config.ffn_dropout) if config.ffn else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D) to (V, 1 + T, D)."""
        token = self.token.to(features.dtype).expand(len(features), 1, -1)
        tokens = self._placed(torch.cat((token, features), dim=1))
        fused = self.feed_forward(self.attention(tokens.unsqueeze(1), "cells").squeeze(1))
        return fused.relu() if self.config.out_relu else fused

    def _placed(self, tokens: Tensor) -> Tensor:
        if self.config.pos != "codebase":
            return self.positions(tokens)
        scale = (tokens.shape[-1] / self.config.codebase_a) ** 0.5
        return F.dropout(tokens * scale + self.code.to(tokens.dtype), self.config.codebase_dropout, self.training)
