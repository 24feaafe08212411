"""Multi-head attention and feed-forward layers over one axis of a grid of tokens (V, T, L, D), for I2ST.

LN, projections and feed-forward act on single tokens, so that attention over cells and over frames differ only in the
view of queries, keys and values. The channels of a projection are ordered head by head, in each head one query, key and
value after the other: both views then need no copy.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Axis = Literal["cells", "frames"]
"""``cells``: the L tokens of a frame see each other. ``frames``: the T tokens of a cell do."""


class SelfAttention(nn.Module):
    """x + dropout(O attention(LN(x))): (V, T, L, D) to (V, T, L, D). Query, key and value without bias, O with one."""

    def __init__(self, dim: int, heads: int, *, dropout: float, prenorm: bool = True, residual: bool = True) -> None:
        super().__init__()
        self.heads, self.residual = heads, residual
        self.norm = nn.LayerNorm(dim) if prenorm else nn.Identity()
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, axis: Axis) -> Tensor:
        query, key, value = self.qkv(self.norm(tokens)).unflatten(-1, (self.heads, 3, -1)).unbind(-2)
        attended = self.dropout(self.out(attention(query, key, value, axis)))
        return tokens + attended if self.residual else attended


class CrossAttention(nn.Module):
    """Queries of one grid of tokens over keys and values of another, each behind a layer norm of its own."""

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        dropout: float,
        prenorm: bool = True,
        residual: Literal["none", "query", "image", "both"] = "query",
    ) -> None:
        """``residual``: what is added to the result, ``image`` stands for the grid of keys and values."""
        super().__init__()
        self.heads, self.residual = heads, residual
        self.query_norm = nn.LayerNorm(dim) if prenorm else nn.Identity()
        self.norm = nn.LayerNorm(dim) if prenorm else nn.Identity()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, context: Tensor, axis: Axis) -> Tensor:
        """Both (V, T, L, D); the result has the place of ``tokens``."""
        query = self.query(self.query_norm(tokens)).unflatten(-1, (self.heads, -1))
        key, value = self.key_value(self.norm(context)).unflatten(-1, (self.heads, 2, -1)).unbind(-2)
        result = self.dropout(self.out(attention(query, key, value, axis)))
        if self.residual in ("query", "both"):
            result = result + tokens
        return result + context if self.residual in ("image", "both") else result


class FeedForward(nn.Module):
    """x + dropout(W2 dropout(GELU(W1 x))): (..., D) to (..., D)."""

    def __init__(
        self, dim: int, hidden: int, *, prenorm: bool = False, dropout: float = 0.0, out_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim) if prenorm else nn.Identity()
        self.expand = nn.Linear(dim, hidden)
        self.dropout = nn.Dropout(dropout)
        self.contract = nn.Linear(hidden, dim)
        self.out_dropout = nn.Dropout(out_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.out_dropout(self.contract(self._hidden(tokens)))

    def mean(self, tokens: Tensor, dim: int) -> Tensor:
        """``self(tokens).mean(dim)`` with one product with W2 for each mean instead of one for each token.

        Equal as long as nothing random stands between W2 and the mean: ``out_dropout`` is not applied.
        """
        return tokens.mean(dim) + self.contract(self._hidden(tokens).mean(dim))

    def _hidden(self, tokens: Tensor) -> Tensor:
        return self.dropout(F.gelu(self.expand(self.norm(tokens))))


def attention(query: Tensor, key: Tensor, value: Tensor, axis: Axis) -> Tensor:
    """Softmax attention over one axis. All (V, T, L, heads, d), the result (V, T, L, heads * d)."""
    start = 0 if axis == "cells" else 2  # (V, T) are the batch, or (L, heads) count as heads
    q, k, v = (part.flatten(start, start + 1).transpose(1, 2) for part in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(*query.shape[:3], -1)


def as_tokens(features: Tensor) -> Tensor:
    """(V, T, D, h, w) as (V, T, h * w, D): a view."""
    return features.flatten(-2).transpose(-2, -1)


def check_heads(dim: int, heads: int) -> None:
    """Raises ValueError unless the channels can be shared out evenly."""
    if dim % heads:
        raise ValueError(f"the number of heads must divide the {dim} channels, got {heads}")
