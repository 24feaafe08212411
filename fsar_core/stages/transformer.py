"""Pre-norm transformer layers (ViT style), as in SGTM's encoder, decoder and matching transformer (section 3)."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.frozen import Frozen


class TransformerConfig(Frozen):
    """Sizes of a stack of layers. The feed-forward ratio and the dropout are fitted, the paper names neither."""

    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=8, ge=1)
    head_dim: int = Field(default=64, ge=1)
    mlp_ratio: float = Field(default=1.0, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """After the attention's output and the feed-forward's second layer, in training."""


class Transformer(nn.Module):
    """``depth`` layers and a final layer norm: (V, L, P) to (V, L, P)."""

    def __init__(self, config: TransformerConfig, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config, width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.apply(initialise_linear)

    def forward(self, tokens: Tensor) -> Tensor:
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens)


class _Layer(nn.Module):
    def __init__(self, config: TransformerConfig, width: int) -> None:
        super().__init__()
        inner, hidden = config.heads * config.head_dim, max(1, round(width * config.mlp_ratio))
        self.heads, self.dropout = config.heads, config.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * inner)
        self.out = nn.Linear(inner, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + F.dropout(self.out(self._attend(self.attention_norm(x))), self.dropout, self.training)
        hidden = F.gelu(self.expand(self.mlp_norm(x)))
        return x + F.dropout(self.contract(hidden), self.dropout, self.training)

    def _attend(self, x: Tensor) -> Tensor:
        videos, length, _ = x.shape
        q, k, v = self.qkv(x).view(videos, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(videos, length, -1)


def initialise_linear(module: nn.Module) -> None:
    """Weights truncated normal with std 0.02, biases 0: the initialisation of ViT and MAE."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class Positions(nn.Module):
    """A position code for ``length`` tokens: the fixed sine-cosine table (base 10^4), a learned one, or none."""

    table: Tensor

    def __init__(self, kind: Literal["sincos", "learned", "none"], length: int, width: int) -> None:
        super().__init__()
        if kind == "learned":
            self.table = nn.Parameter(torch.zeros(length, width))
            nn.init.trunc_normal_(self.table, std=0.02)
        else:
            table = sincos_table(length, width) if kind == "sincos" else torch.zeros(length, width)
            self.register_buffer("table", table, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(V, L, P) plus the code of each slot."""
        return tokens + self.table


def sincos_table(length: int, width: int) -> Tensor:
    """(length, width): sines in even, cosines in odd channels, wavelengths from 2 pi to 10^4 * 2 pi."""
    position = torch.arange(length, dtype=torch.float64)[:, None]
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(1e4) / width))
    table = torch.zeros(length, width, dtype=torch.float64)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)[:, : width // 2]
    return table.float()
