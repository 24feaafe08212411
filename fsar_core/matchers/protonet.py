"""Prototypes per frame index. Snell et al., NeurIPS 2017, https://arxiv.org/abs/1703.05175, as video papers use it:
frames are compared by cosine, index by index (VIM, eq. 23)."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.cosine import cosine
from fsar_core.matchers.shots import ShotRule, class_scores, shot_rule


class ProtoNet(nn.Module):
    """The sum over the frame indices of 1 - cosine(query frame, prototype frame). No parameters."""

    class Config(MatcherBase):
        kind: Literal["protonet"] = "protonet"
        cosine_eps: float = Field(default=0.0, ge=0)

        def build(self, shape: Shape) -> "ProtoNet":
            return ProtoNet(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule("features", shot)

    def forward(self, features: Features) -> Match:
        """Logits lie in [-2 T, 0]. Raises ValueError where query and support differ in their number of frames."""
        return Match(logits=class_scores(self.pair_scores, features, "features"))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T, D) and (*B, S, T, D) -> (*B, A, S), minus distances."""
        frames = support.shape[-2]
        if query.shape[-2] != frames:
            raise ValueError(
                f"protonet compares frame by frame, so that query and support need equally many frames, but got "
                f"{query.shape[-2]} and {frames}; sample both alike, or take the matcher otam, bimhm or time_averaged"
            )
        similarity = cosine(query.transpose(-3, -2), support.transpose(-3, -2), self.config.cosine_eps)  # (*B, T, A, S)
        return similarity.sum(-3) - frames
