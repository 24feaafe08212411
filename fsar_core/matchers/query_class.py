"""STRM's query-class similarity (QC): how near each query tuple is to some tuple of a class.

Thatipelli et al., CVPR 2022, https://arxiv.org/abs/2112.05132, eq. 7-8, as in https://github.com/Anirudh257/strm.
"""

from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.nearest import Similarity, to_nearest
from fsar_core.matchers.recompute import block
from fsar_core.matchers.shots import ShotRule
from fsar_core.matchers.tuple_attention import Blocks, Work, blocks, by_blocks, embedded
from fsar_core.matchers.tuples import Cardinalities, OfTuples, check_tuples, project_tuples
from fsar_core.precision import full_precision, wide
from fsar_core.seeds import derived_seed


class QueryClass(nn.Module):
    """The mean over the query's tuples of the similarity to the nearest tuple of any shot of a class, where a tuple is
    ReLU(W tuple + b). One branch with weights of its own for each cardinality."""

    class Config(MatcherBase):
        kind: Literal["query_class"] = "query_class"
        cardinalities: Cardinalities = (2,)
        """Frames per tuple; STRM takes the same ones as in its TRX."""
        dim: int | None = Field(default=None, ge=1)
        """Width of the projected tuples; None for half the features' width, as in the code."""
        dropout: float = Field(default=0.1, ge=0, lt=1)
        """On the frames, in training; a draw of its own for every branch."""
        projection: Literal["trained", "frozen"] = "trained"
        """``trained``: paper. ``frozen``: random and never trained, as in the code, whose optimizer and checkpoints
        miss it; here it is at least part of the checkpoint. A gradient passes through it to the features."""
        eval_dropout: bool = False
        """Drops in tests too, which only imitates the code, where it stays on. There is one draw for each place of a
        video in an episode, the same for all episodes and in every call, so that results repeat however episodes are
        batched; the order of the videos counts."""
        similarity: Similarity = "neg_l2"
        """The code's; the paper leaves it open."""
        tuple_fraction: float = Field(default=1.0, gt=0, le=1)
        """Share of the tuples that is kept (figure 6)."""
        tuple_seed: int = Field(default=0, ge=0)
        """Which tuples are kept: those that TRX keeps by the same seed. No weight depends on it."""
        branch_reduction: Literal["mean", "sum"] = "mean"
        """Over the cardinalities. The code takes the mean, the paper the sum."""

        def check(self, shape: Shape) -> None:
            """Raises ValueError unless a clip has tuples of every cardinality, and not too many."""
            check_tuples(shape.frames, self.cardinalities, self.tuple_fraction)

        def build(self, shape: Shape) -> "QueryClass":
            return QueryClass(self, shape)

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.config = config
        self.branches = nn.ModuleList(_Branch(config, cardinality, shape) for cardinality in config.cardinalities)

    def shot_rule(self, shot: int) -> ShotRule | None:
        """All shots of a class are one set of tuples, so that only a single shot is a matter of pairs."""
        return "mean" if shot == 1 and not self.config.eval_dropout else None

    def forward(self, features: Features) -> Match:
        """Logits are at most 0 for ``neg_l2``, and in [0, 1] for ``cosine``."""
        query, support = wide(features.query), wide(features.support)
        batch = query.shape[:-3]
        query, support = query.reshape(-1, *query.shape[-3:]), support.reshape(-1, *support.shape[-4:])
        with full_precision(query.device):
            logits = torch.stack([branch(query, support) for branch in self.branches])
        logits = logits.mean(0) if self.config.branch_reduction == "mean" else logits.sum(0)
        return Match(logits=logits.view(*batch, *logits.shape[1:]))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S); memory is bounded as in ``tuple_attention``."""
        return self(Features(support=support.unsqueeze(-3), query=query)).logits


class _Branch(OfTuples):
    """One cardinality. Queries and supports share the projection."""

    def __init__(self, config: QueryClass.Config, cardinality: int, shape: Shape) -> None:
        super().__init__(cardinality, shape.frames, config.tuple_fraction, config.tuple_seed)
        self.config = config
        self.projection = nn.Linear(cardinality * shape.dim, config.dim or max(1, shape.dim // 2))
        self.projection.requires_grad_(config.projection == "trained")

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """(E, Q, T', D) and (E, N, K, T, D) -> (E, Q, N)."""
        query, support = self._dropped(query, "queries"), self._dropped(support, "supports")
        work = Work(
            episodes=len(query),
            queries=query.shape[1],
            classes=support.shape[1],
            shots=support.shape[2],
            query_tuples=len(self.tuples_of(query)),
            support_tuples=len(self.tuples_of(support)),
            dim=self.projection.out_features,
            itemsize=query.itemsize,
        )
        size = blocks(work)
        return by_blocks(partial(self._to_classes, size), query, support, size)

    def _to_classes(self, size: Blocks, query: Tensor, support: Tensor) -> Tensor:
        (classes,), parts = embedded(self._embed, query, support, size.queries)
        search = partial(to_nearest, similarity=self.config.similarity)
        found: list[Tensor] = []
        for (own,) in parts:
            tuples = own.shape[1:3]
            rows, several = own.flatten(1, 2).split(size.rows, dim=1), size.rows < query.shape[1] * tuples[1]
            best = torch.cat([block(search, part, classes, one_of_several=several) for part in rows], dim=1)
            found.append(best.unflatten(1, tuples).mean(2))
        return torch.cat(found, dim=1)

    def _embed(self, frames: Tensor) -> tuple[Tensor]:
        """(..., T, D) frames -> (..., M, d) projected tuples."""
        weight, bias = self.projection.weight, self.projection.bias
        tuples = project_tuples(frames, weight, bias, self.tuples_of(frames)).relu_()
        return (F.normalize(tuples, dim=-1) if self.config.similarity == "cosine" else tuples,)

    def _dropped(self, frames: Tensor, side: str) -> Tensor:
        if self.training or not self.config.eval_dropout:
            return F.dropout(frames, self.config.dropout, self.training)
        seed = derived_seed(0, f"dropout in tests, {side}", self.cardinality)
        draws = torch.rand(frames.shape[1:], generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
        kept = draws.to(frames.device) >= self.config.dropout
        return frames * kept / (1 - self.config.dropout)
