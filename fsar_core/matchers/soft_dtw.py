"""Soft dynamic time warping. Cuturi and Blondel, ICML 2017, https://arxiv.org/abs/1703.01541 (VIM, table 15)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.blocks import in_blocks
from fsar_core.matchers.cosine import frame_cosine
from fsar_core.matchers.diagonals import FAR, diagonals, of_each_pair, shifted
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule
from fsar_core.precision import wide


class SoftDtw(nn.Module):
    """The soft minimum of the costs of all warping paths through the frame distances of two videos. No parameters."""

    class Config(MatcherBase):
        kind: Literal["soft_dtw"] = "soft_dtw"
        gamma: float = Field(default=0.1, gt=0)
        """Temperature of the soft minimum, in units of the frame distance."""
        relaxed: bool = False
        """A row of zeros before and after the distances, and the mean of both directions: the variant that
        https://github.com/R00Kie-Liu/TA2N ships. It frees where a path begins and ends, like OTAM."""
        shots: Shots = "features"
        """VIM has mean prototypes."""
        cosine_eps: float = Field(default=0.0, ge=0)

        def build(self, shape: Shape) -> "SoftDtw":
            return SoftDtw(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self.config.shots, shot)

    def forward(self, features: Features) -> Match:
        """Logits may exceed 0, because the soft minimum lies below the minimum."""
        return Match(logits=class_scores(self.pair_scores, features, self.config.shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), minus the soft cost of warping."""
        return in_blocks(self._scores, query, support)

    def _scores(self, query: Tensor, support: Tensor) -> Tensor:
        distances = (1 - frame_cosine(query, support, self.config.cosine_eps)).transpose(-3, -2)
        if not self.config.relaxed:
            return -warping_cost(distances, self.config.gamma)
        both = [warping_cost(F.pad(d, (0, 0, 1, 1)), self.config.gamma) for d in (distances, distances.mT)]
        return -torch.stack(both).mean(0)


def warping_cost(costs: Tensor, gamma: float) -> Tensor:
    """(..., I, J) costs of cells -> (...), in float32 or wider. ``gamma`` > 0.

        R[i, j] = c[i, j] + smin(R[i-1, j-1], R[i-1, j], R[i, j-1]),   smin(x) = -gamma log sum exp(-x / gamma)

    from R[0, 0] = c[0, 0] to the last cell. Computed as -R / gamma, so that nothing under- or overflows.
    """

    def value(part: Tensor) -> Tensor:
        first, *others = diagonals(part)
        far = first.new_full(first.shape[1:], -FAR)
        u, before = first.neg(), far.expand_as(first)
        for diagonal in others:
            reached = torch.logaddexp(torch.logaddexp(u, shifted(u, far)), shifted(before, far))
            u, before = reached - diagonal, u
        return u[-1]

    return of_each_pair(value, wide(costs) / gamma) * -gamma
