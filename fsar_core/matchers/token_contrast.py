"""Long-short contrast: the frames of one clip against the clip vector of the other.

I2ST names an auxiliary contrastive loss and no more; this is the one of the code that it builds on, MoLo (Wang et al.,
CVPR 2023, https://arxiv.org/abs/2304.00946). It only trains: its head has a ``logit_weight`` of 0.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Features, Level, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.blocks import in_blocks
from fsar_core.matchers.cosine import cosine
from fsar_core.matchers.shots import ShotRule, class_scores, shot_rule


class TokenContrast(nn.Module):
    """- a * sum over frames of 1 - cosine(frame, clip vector); a is learnt. Shots are averaged first."""

    class Config(MatcherBase):
        kind: Literal["token_contrast"] = "token_contrast"
        reads: ClassVar[Level] = "global_local"
        direction: Literal["support_to_query", "query_to_support"] = "support_to_query"
        """``support_to_query``: frames of the class against the vector of the query. Else the other way round."""
        cosine_eps: float = Field(default=0.0, ge=0)
        """0: plain normalisation. MoLo's code adds 0.01 to the product of the norms."""

        def build(self, shape: Shape) -> "TokenContrast":
            return TokenContrast(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.scale = nn.Parameter(torch.ones(()))

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule("features", shot)

    def forward(self, features: Features) -> Match:
        """``features`` hold 1 + T vectors per clip. Logits lie in [-2 a T, 0]."""
        return Match(logits=class_scores(self.pair_scores, features, "features"))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, 1 + T', D) and (*B, S, 1 + T, D) -> (*B, A, S), float32 or wider, in blocks of queries."""
        return in_blocks(self._scores, query, support)

    def _scores(self, query: Tensor, support: Tensor) -> Tensor:
        if self.config.direction == "support_to_query":
            return self._contrast(support, query).mT
        return self._contrast(query, support)

    def _contrast(self, frames_of: Tensor, vector_of: Tensor) -> Tensor:
        """(*B, X, 1 + T, D) and (*B, Y, 1 + T', D) -> (*B, X, Y)."""
        frames = frames_of[..., 1:, :]
        similarity = cosine(frames.flatten(-3, -2), vector_of[..., 0, :], self.config.cosine_eps)
        distances = 1 - similarity.unflatten(-2, frames.shape[-3:-1])
        return -self.scale * distances.sum(-2)
