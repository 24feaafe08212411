"""Matching of time averages, the baseline that is blind to order (called TSN in this literature)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.cosine import cosine
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule
from fsar_core.precision import full_precision, wide


class TimeAveraged(nn.Module):
    """Compares the means of the frames over time. No parameters."""

    class Config(MatcherBase):
        kind: Literal["time_averaged"] = "time_averaged"
        distance: Literal["cosine", "squared_euclidean"] = "cosine"
        """``cosine``: the logits are cosines in [-1, 1], no distances, and are averaged over the shots.
        ``squared_euclidean``: minus the squared distance to the mean of the class."""
        cosine_eps: float = Field(default=0.01, ge=0)

        def build(self, shape: Shape) -> "TimeAveraged":
            return TimeAveraged(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self._shots: Shots = "distances" if config.distance == "cosine" else "features"

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self._shots, shot)

    def forward(self, features: Features) -> Match:
        support, query = wide(features.support).mean(-2, keepdim=True), wide(features.query).mean(-2, keepdim=True)
        return Match(logits=class_scores(self.pair_scores, Features(support=support, query=query), self._shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S): cosines, or minus squared distances."""
        query, support = wide(query).mean(-2), wide(support).mean(-2)
        if self.config.distance == "cosine":
            return cosine(query, support, self.config.cosine_eps)
        with full_precision(query.device):
            # The expansion |x|^2 - 2 x.y + |y|^2 would cancel for near neighbours, which are what matters.
            gaps = torch.cdist(query, support, compute_mode="donot_use_mm_for_euclid_dist")
        return -gaps.square()
