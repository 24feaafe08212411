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

__all__ = [
    "MATCHERS",
    "BiMhm",
    "Matcher",
    "MatcherConfig",
    "Otam",
    "PairMatcher",
    "ProtoNet",
    "ShotRule",
    "Shots",
    "TimeAveraged",
]

MatcherConfig = Annotated[
    Otam.Config | BiMhm.Config | ProtoNet.Config | TimeAveraged.Config,
    Field(discriminator="kind"),
]

MATCHERS = (Otam.Config, BiMhm.Config, ProtoNet.Config, TimeAveraged.Config)
"""The members of ``MatcherConfig``."""


class Matcher(Protocol):
    """What every matcher can do."""

    def __call__(self, features: Features) -> Match: ...

    def shot_rule(self, shot: int) -> ShotRule | None:
        """How scores of single pairs give the logit of a class of ``shot`` supports; None where they do not.

        A matcher that ever gives a rule is a ``PairMatcher``.
        """
        ...


class PairMatcher(Matcher, Protocol):
    """A matcher that can score a query and a support by themselves. Scores are logits: higher is closer."""

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), float32 or wider; memory may grow with A * S * T' * T."""
        ...
