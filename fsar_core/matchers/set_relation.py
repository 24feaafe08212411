"""Task relation, fusion and set matching. Wang et al. (HyRSM), CVPR 2022, https://arxiv.org/abs/2204.13423.

As in the released code, https://github.com/alibaba-mmai-research/HyRSM. What stands before it, attention within a
video, is the stage ``video_attention``.
"""

import math
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.bimhm import BiMhm
from fsar_core.matchers.recompute import block
from fsar_core.matchers.shots import ShotRule
from fsar_core.precision import full_precision, wide

BYTES_AT_ONCE = 256 << 20
"""Bound of each of two: queries, keys and values of the relation of some episodes, and the fused support frames of some
of their queries. One episode and one query of it are never divided."""


class SetRelation(nn.Module):
    """A query and all supports exchange what they are as wholes, every frame takes that in, then Bi-MHM compares."""

    class Config(MatcherBase):
        kind: Literal["set_relation"] = "set_relation"
        heads: int = Field(default=8, ge=1)
        """D must be a multiple of it."""
        shots: Literal["features", "distances"] = "features"
        """``features``: the shots of a class are averaged before the relation, which sees one video per class (all
        published configurations of several shots). ``distances``: it sees all, and the distances are averaged."""
        attention_dropout: float = Field(default=0.1, ge=0, lt=1)
        """On the weights of the relation, in training."""
        dropout: float = Field(default=0.05, ge=0, lt=1)
        """On the output of the relation, in training."""
        reduction: Literal["sum", "mean"] = "sum"
        """Of Bi-MHM over the frames of a direction. The code sums, the formula of the paper is a mean."""

        def check(self, shape: Shape) -> None:
            """Raises ValueError unless the heads divide the channels."""
            if shape.dim % self.heads:
                raise ValueError(f"heads must divide the {shape.dim} channels of a frame, got {self.heads}")

        def build(self, shape: Shape) -> "SetRelation":
            return SetRelation(self, shape.dim)

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        self.config = config
        self.relation = _Relation(config, dim)
        self.fuse = nn.Linear(2 * dim, dim)
        self.metric = BiMhm.Config(reduction=config.reduction).build(Shape(level="frame", frames=1, dim=dim))

    def shot_rule(self, shot: int) -> ShotRule | None:
        """None: every logit depends on all supports."""
        return None

    def forward(self, features: Features) -> Match:
        """Logits lie in [-2 (T' + T), 0] for sums, in [-4, 0] for means."""
        support, query = wide(features.support), wide(features.query)
        if self.config.shots == "features":
            support = support.mean(-3, keepdim=True)
        batch, kinds = query.shape[:-3], support.shape[-4:-2]  # N and K, or N and 1
        query, support = query.reshape(-1, *query.shape[-3:]), support.reshape(-1, kinds.numel(), *support.shape[-2:])
        of_relation = 3 * query.itemsize * query.shape[1] * (support.shape[1] + 1) * query.shape[-1]
        size = max(1, BYTES_AT_ONCE // max(1, of_relation))
        with full_precision(query.device):
            scores = torch.cat(
                [self._scores(q, s) for q, s in zip(query.split(size), support.split(size), strict=True)]
            )
        return Match(logits=scores.unflatten(-1, kinds).mean(-1).view(*batch, -1, kinds[0]))

    def _scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(E, Q, T', D) and (E, M, T, D) -> (E, Q, M)."""
        of_query, of_support = self.relation(query.mean(-2), support.mean(-2))
        query, support = self._add(self._frames(query), of_query), self._frames(support)
        size = max(1, BYTES_AT_ONCE // max(1, support.nbytes))
        match = partial(block, self._match, one_of_several=size < query.shape[1])
        parts = zip(query.split(size, dim=1), of_support.split(size, dim=1), strict=True)
        return torch.cat([match(own, related, support) for own, related in parts], dim=1)

    def _match(self, query: Tensor, of_support: Tensor, support: Tensor) -> Tensor:
        """Fused (E, q, T', D), relations (E, q, M, D) and (E, M, T, D) frames without them -> (E, q, M)."""
        return self.metric.pair_scores(query.unsqueeze(2), self._add(support.unsqueeze(1), of_support)).squeeze(2)

    # W [f; r] + b in two halves: that of a frame does not depend on the query, that of a relation not on the frame.

    def _frames(self, frames: Tensor) -> Tensor:
        return F.linear(frames, self.fuse.weight[:, : frames.shape[-1]], self.fuse.bias)

    def _add(self, frames: Tensor, relation: Tensor) -> Tensor:
        return frames + F.linear(relation, self.fuse.weight[:, relation.shape[-1] :]).unsqueeze(-2)


class _Relation(nn.Module):
    """Post-norm self-attention over one query and all supports, each a single vector.

    Its weights start as in the released code: normal, those of queries, keys and values with the variance
    2 / (D + D / heads), those of the output with 2 / (D + D).
    """

    def __init__(self, config: SetRelation.Config, dim: int) -> None:
        super().__init__()
        self.config = config
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.qkv.weight, std=math.sqrt(2 / (dim + dim // config.heads)))
        nn.init.xavier_normal_(self.out.weight)

    def forward(self, query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        """(E, Q, D) and (E, M, D) -> (E, Q, D) of the queries, (E, Q, M, D) of the supports as each query has them."""
        tokens = _together(query, support)
        # Every token is projected once, and only then copied to the queries.
        q, k, v = _together(self.qkv(query), self.qkv(support)).unflatten(-1, (3, self.config.heads, -1)).unbind(-3)
        attended = F.scaled_dot_product_attention(
            *(own.transpose(-3, -2) for own in (q, k, v)),
            dropout_p=self.config.attention_dropout if self.training else 0.0,
        )
        out = F.dropout(self.out(attended.transpose(-3, -2).flatten(-2)), self.config.dropout, self.training)
        related = F.relu(self.norm(out + tokens))
        return related[:, :, -1], related[:, :, :-1]


def _together(query: Tensor, support: Tensor) -> Tensor:
    """(E, Q, C) and (E, M, C) -> (E, Q, M + 1, C): all supports, then the query."""
    supports = support.unsqueeze(1).expand(-1, query.shape[1], -1, -1)
    return torch.cat((supports, query.unsqueeze(2)), dim=2)
