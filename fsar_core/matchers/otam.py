"""Ordered temporal alignment. Cao et al., CVPR 2020, https://arxiv.org/abs/1906.11415.

The metric is that of the public re-implementation, https://github.com/tobyperrett/few-shot-action-recognition, which
later papers build on.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.cosine import frame_cosine
from fsar_core.matchers.ordered_paths import both_costs, holds
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule
from fsar_core.precision import wide


class Otam(nn.Module):
    """The cost of a soft ordered path through the frame distances of two videos. No parameters."""

    class Config(MatcherBase):
        kind: Literal["otam"] = "otam"
        lam: float = Field(default=0.1, gt=0)
        """Temperature of the soft minimum, in units of the frame distance. CLIP-FSAR takes 0.5."""
        directions: Literal["both", "query_to_support"] = "both"
        """``both`` adds the cost with the roles of the two videos exchanged."""
        shots: Shots = "distances"
        """The OTAM code averages distances, CLIP-FSAR features."""
        cosine_eps: float = Field(default=0.01, ge=0)

        def build(self, shape: Shape) -> "Otam":
            return Otam(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self.config.shots, shot)

    def forward(self, features: Features) -> Match:
        """Logits may exceed 0 slightly, because the soft minimum lies below the minimum."""
        return Match(logits=class_scores(self.pair_scores, features, self.config.shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), minus distances."""
        distances = (1 - frame_cosine(query, support, self.config.cosine_eps)).transpose(-3, -2)  # (*B, A, S, T', T)
        if self.config.directions == "query_to_support":
            return -alignment_cost(distances, self.config.lam)
        if holds(distances, self.config.lam):
            return -both_costs(distances, self.config.lam)
        if query.shape[-2] != support.shape[-2]:
            return -alignment_cost(distances, self.config.lam) - alignment_cost(distances.mT, self.config.lam)
        return -alignment_cost(torch.stack((distances, distances.mT)), self.config.lam).sum(0)


def alignment_cost(distances: Tensor, lam: float) -> Tensor:
    """(..., Tq, Ts) frame distances -> (...) costs of one direction, in float32 or wider. ``lam`` > 0.

    The path visits the Ts columns in order, each once (the first may repeat); from one column to the next the row stays
    or advances by one; first and last row are free. With smin(x) = -lam log sum exp(-x / lam) and C the cost of a cell:

        C[0, 0] = d[0, 0]                  C[l, 0] = d[l, 0] + smin(0, 0, C[l-1, 0])
        C[0, m] = d[0, m] + C[0, m-1]      C[l, m] = d[l, m] + smin(C[l-1, m-1], C[l, m-1])
        R[0] = C[0, -1]                    R[l] = smin(C[l, -1], C[l-1, -1], R[l-1])

    and R[-1] is the result.
    """
    rows, columns = distances.shape[-2:]
    scaled = wide(distances).reshape(-1, rows, columns) / -lam
    # Blocks bound the memory; on a CPU they also keep the recursion in its cache, which makes it three times faster.
    block = max(1, (2**18 if distances.device.type == "cpu" else 2**26) // (rows * columns))
    return torch.cat([_log_alignment(part) for part in scaled.split(block)]).mul(-lam).view(distances.shape[:-2])


def _log_alignment(scaled: Tensor) -> Tensor:
    """``alignment_cost`` in u = -C / lam, so that nothing under- or overflows however many frames there are.

    A column looks only at the one before it: it is one vector step for all rows and pairs. R is a single log-sum-exp,
    in which every row but the last counts twice.
    """
    columns = scaled.permute(2, 1, 0).contiguous().unbind()  # pairs last: the steps run over contiguous memory
    u = _first_column(columns[0])
    for column in columns[1:]:
        u = column + torch.cat((u[:1], torch.logaddexp(u[1:], u[:-1])))
    return torch.logsumexp(torch.cat((u, u[:-1])), dim=0)


def _first_column(column: Tensor) -> Tensor:
    log_two = column.new_full((), math.log(2))
    first, *others = column.unbind()
    u = [first]
    for row in others:
        u.append(row + torch.logaddexp(u[-1], log_two))
    return torch.stack(u)
