"""Matchers: from the frame features of an episode to logits."""

from typing import Annotated, Protocol

from pydantic import Field
from torch import Tensor

from fsar_core.episode import Features, Match
from fsar_core.matchers.bimhm import BiMhm
from fsar_core.matchers.otam import Otam
from fsar_core.matchers.protonet import ProtoNet
from fsar_core.matchers.shots import ShotRule, Shots
from fsar_core.matchers.time_averaged import TimeAveraged

__all__ = ["MATCHERS", "BiMhm", "Matcher", "MatcherConfig", "Otam", "ProtoNet", "ShotRule", "Shots", "TimeAveraged"]

MatcherConfig = Annotated[
    Otam.Config | BiMhm.Config | ProtoNet.Config | TimeAveraged.Config,
    Field(discriminator="kind"),
]

MATCHERS = (Otam.Config, BiMhm.Config, ProtoNet.Config, TimeAveraged.Config)
"""The members of ``MatcherConfig``."""


class Matcher(Protocol):
    """What every matcher can do. Scores are logits of single pairs: higher is closer."""

    def __call__(self, features: Features) -> Match: ...

    def shot_rule(self, shot: int) -> ShotRule | None:
        """How ``pair_scores`` over the ``shot`` supports of a class give its logit; None where they do not."""
        ...

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), float32 or wider; memory grows with A * S * T' * T."""
        ...
