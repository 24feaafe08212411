"""Matchers: from the frame features of an episode to logits."""

from typing import Annotated, Protocol

from pydantic import Field
from torch import Tensor

from fsar_core.episode import Features, Match
from fsar_core.matchers.bimhm import BiMhm
from fsar_core.matchers.drop_dtw import DropDtw
from fsar_core.matchers.exhaustive_spatial import ExhaustiveSpatial
from fsar_core.matchers.exhaustive_temporal import ExhaustiveTemporal
from fsar_core.matchers.global_local import GlobalLocal
from fsar_core.matchers.otam import Otam
from fsar_core.matchers.pair_alignment import PairAlignment
from fsar_core.matchers.protonet import ProtoNet
from fsar_core.matchers.query_class import QueryClass
from fsar_core.matchers.set_relation import SetRelation
from fsar_core.matchers.shots import ShotRule, Shots
from fsar_core.matchers.soft_dtw import SoftDtw
from fsar_core.matchers.time_averaged import TimeAveraged
from fsar_core.matchers.token_contrast import TokenContrast
from fsar_core.matchers.trx import Trx
from fsar_core.matchers.vava import Vava

__all__ = [
    "MATCHERS",
    "BiMhm",
    "DropDtw",
    "ExhaustiveSpatial",
    "ExhaustiveTemporal",
    "GlobalLocal",
    "Matcher",
    "MatcherConfig",
    "Otam",
    "PairAlignment",
    "PairMatcher",
    "ProtoNet",
    "QueryClass",
    "SetRelation",
    "ShotRule",
    "Shots",
    "SoftDtw",
    "TimeAveraged",
    "TokenContrast",
    "Trx",
    "Vava",
]

MatcherConfig = Annotated[
    Trx.Config
    | PairAlignment.Config
    | SetRelation.Config
    | Otam.Config
    | BiMhm.Config
    | ProtoNet.Config
    | TimeAveraged.Config
    | GlobalLocal.Config
    | TokenContrast.Config
    | QueryClass.Config
    | DropDtw.Config
    | ExhaustiveSpatial.Config
    | ExhaustiveTemporal.Config
    | SoftDtw.Config
    | Vava.Config,
    Field(discriminator="kind"),
]

MATCHERS = (
    Trx.Config,
    PairAlignment.Config,
    SetRelation.Config,
    Otam.Config,
    BiMhm.Config,
    ProtoNet.Config,
    TimeAveraged.Config,
    GlobalLocal.Config,
    TokenContrast.Config,
    QueryClass.Config,
    DropDtw.Config,
    ExhaustiveSpatial.Config,
    ExhaustiveTemporal.Config,
    SoftDtw.Config,
    Vava.Config,
)
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
