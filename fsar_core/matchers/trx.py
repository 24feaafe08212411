"""Tuple cross-attention. Perrett et al. (TRX), CVPR 2021, https://arxiv.org/abs/2101.06184.

Defaults are those of the released code, https://github.com/tobyperrett/trx. STRM (CVPR 2022, eq. 1) builds on it.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.shots import ShotRule
from fsar_core.matchers.tuple_attention import Work, blocks, tuple_distances
from fsar_core.matchers.tuples import Cardinalities, OfTuples, check_tuples, project_tuples
from fsar_core.positions import trx_positions
from fsar_core.precision import full_precision, wide


class Trx(nn.Module):
    """Ordered tuples of query frames attend to those of all shots of a class, one branch for each cardinality."""

    class Config(MatcherBase):
        kind: Literal["trx"] = "trx"
        cardinalities: Cardinalities = (2, 3)
        """Frames per tuple; Omega of STRM. Every one is a branch with weights of its own."""
        out_dim: int = Field(default=1152, ge=1)
        """Width of keys and values."""
        dropout: float = Field(default=0.1, ge=0, lt=1)
        """On the frames after the position code, in training; a draw of its own for every branch."""
        tuple_fraction: float = Field(default=1.0, gt=0, le=1)
        """Share of the tuples that is kept (STRM, figure 6)."""
        tuple_seed: int = Field(default=0, ge=0)
        """Which tuples are kept. No weight depends on it: a test may keep others than the training."""
        distance: Literal["sq_l2", "l2"] = "sq_l2"
        """Between a query tuple and its prototype. The code squares the norm, the formula of the papers does not."""
        branch_reduction: Literal["mean", "sum"] = "mean"
        """Over the cardinalities. The code takes the mean, the formula of the papers the sum."""

        def check(self, shape: Shape) -> None:
            """Raises ValueError unless a clip has tuples of every cardinality, and not too many."""
            check_tuples(shape.frames, self.cardinalities, self.tuple_fraction)

        def build(self, shape: Shape) -> "Trx":
            return Trx(self, shape)

    positions: Tensor

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("positions", trx_positions(shape.frames, shape.dim), persistent=False)
        self.branches = nn.ModuleList(_Branch(config, cardinality, shape) for cardinality in config.cardinalities)

    def shot_rule(self, shot: int) -> ShotRule | None:
        """The tuples of all shots of a class share one softmax, so that only a single shot is a matter of pairs."""
        return "mean" if shot == 1 else None

    def forward(self, features: Features) -> Match:
        """Logits are at most 0."""
        query, support = wide(features.query), wide(features.support)
        batch = query.shape[:-3]
        with full_precision(query.device):
            logits = self._logits(query.reshape(-1, *query.shape[-3:]), support.reshape(-1, *support.shape[-4:]))
        return Match(logits=logits.view(*batch, *logits.shape[1:]))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), minus distances."""
        return self(Features(support=support.unsqueeze(-3), query=query)).logits

    def _logits(self, query: Tensor, support: Tensor) -> Tensor:
        """(E, Q, T', D) and (E, N, K, T, D) -> (E, Q, N)."""
        query, support = self._placed(query), self._placed(support)
        distances = torch.stack([branch(query, support) for branch in self.branches])
        return -(distances.mean(0) if self.config.branch_reduction == "mean" else distances.sum(0))

    def _placed(self, frames: Tensor) -> Tensor:
        """With the position code; clips longer than those it was built for get a longer one."""
        length, dim = frames.shape[-2:]
        known = length <= len(self.positions)
        code = self.positions[:length] if known else trx_positions(length, dim).to(frames.device)
        return frames + code.to(frames.dtype)


class _Branch(OfTuples):
    """One cardinality. Queries and supports share the maps to keys and values; only keys are normalised.

    The released module also has a normalisation of values, which it never applies.
    """

    def __init__(self, config: Trx.Config, cardinality: int, shape: Shape) -> None:
        super().__init__(cardinality, shape.frames, config.tuple_fraction, config.tuple_seed)
        self.config = config
        self.key = nn.Linear(cardinality * shape.dim, config.out_dim)
        self.value = nn.Linear(cardinality * shape.dim, config.out_dim)
        self.key_norm = nn.LayerNorm(config.out_dim)

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """(E, Q, T', D) and (E, N, K, T, D) -> (E, Q, N) distances."""
        query = F.dropout(query, self.config.dropout, self.training)
        support = F.dropout(support, self.config.dropout, self.training)
        work = Work(
            episodes=len(query),
            queries=query.shape[1],
            classes=support.shape[1],
            shots=support.shape[2],
            query_tuples=len(self.tuples_of(query)),
            support_tuples=len(self.tuples_of(support)),
            dim=self.config.out_dim,
            itemsize=query.itemsize,
        )
        return tuple_distances(self._embed, query, support, blocks(work), squared=self.config.distance == "sq_l2")

    def _embed(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(..., T, D) frames -> (..., M, d) keys and values of their tuples."""
        table = self.tuples_of(frames)
        keys = self.key_norm(project_tuples(frames, self.key.weight, self.key.bias, table))
        return keys, project_tuples(frames, self.value.weight, self.value.bias, table)
