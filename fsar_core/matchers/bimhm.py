"""Bidirectional mean Hausdorff matching. Wang et al. (HyRSM), CVPR 2022, https://arxiv.org/abs/2204.13423."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.cosine import frame_cosine
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule


class BiMhm(nn.Module):
    """Every frame takes its distance to the nearest frame of the other video. No parameters."""

    class Config(MatcherBase):
        kind: Literal["bimhm"] = "bimhm"
        shots: Shots = "features"
        """MoLo, I2ST and HyRSM with several shots average features; HyRSM's 1-shot head averages distances."""
        reduction: Literal["sum", "mean"] = "sum"
        """Over the frames of a direction. All released code sums, the formula in the papers is a mean."""
        directions: Literal["both", "query_to_support"] = "both"
        """``query_to_support`` counts the nearest frames of the query's frames only, an option of MoLo."""
        cosine_eps: float = Field(default=0.0, ge=0)
        """0: plain normalisation (HyRSM). MoLo takes 0.01."""

        def build(self, shape: Shape) -> "BiMhm":
            return BiMhm(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self.config.shots, shot)

    def forward(self, features: Features) -> Match:
        """Logits lie in [-2 (T' + T), 0] for sums, in [-4, 0] for means; half of that in one direction."""
        return Match(logits=class_scores(self.pair_scores, features, self.config.shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), minus distances. Equally near frames share a gradient."""
        similarity = frame_cosine(query, support, self.config.cosine_eps)  # (*B, A, T', S, T)
        scores = self._over_frames(similarity.amax(-1) - 1, dim=-2)
        if self.config.directions == "both":
            scores = scores + self._over_frames(similarity.amax(-3) - 1, dim=-1)
        return scores

    def _over_frames(self, scores: Tensor, dim: int) -> Tensor:
        return scores.sum(dim) if self.config.reduction == "sum" else scores.mean(dim)
