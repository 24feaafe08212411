"""All pairs of frame tuples compared, the yardstick of VIM's temporal alignment (table 19)."""

from typing import Literal

import torch
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule
from fsar_core.matchers.tuples import Cardinalities, check_tuples, tuple_table
from fsar_core.precision import full_precision, wide


class ExhaustiveTemporal(nn.Module):
    """The mean cosine distance between all ordered tuples of frames of two videos. No parameters."""

    class Config(MatcherBase):
        kind: Literal["exhaustive_temporal"] = "exhaustive_temporal"
        cardinalities: Cardinalities = (2, 3)
        """Frames per tuple; the frames of a tuple are joined to one vector. The mean over the cardinalities counts."""
        shots: Shots = "features"
        """VIM has mean prototypes."""

        def check(self, shape: Shape) -> None:
            check_tuples(shape.frames, self.cardinalities)

        def build(self, shape: Shape) -> "ExhaustiveTemporal":
            return ExhaustiveTemporal(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self.config.shots, shot)

    def forward(self, features: Features) -> Match:
        """Logits lie in [-2 T', 0]."""
        return Match(logits=class_scores(self.pair_scores, features, self.config.shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S): minus T' times the mean distance of their tuples.

        The mean of the cosines over all pairs of tuples is the product of the two videos' mean normalised tuples.
        """
        query, support = wide(query), wide(support)
        with full_precision(query.device):
            cosines = [mean_tuple(query, w) @ mean_tuple(support, w).mT for w in self.config.cardinalities]
        return (torch.stack(cosines).mean(0) - 1) * query.shape[-2]


def mean_tuple(frames: Tensor, cardinality: int) -> Tensor:
    """(..., T, D) -> (..., cardinality * D), the mean of the normalised tuples; a norm below 1e-12 counts as 1e-12."""
    places = tuple_places(frames.shape[-2], cardinality).to(frames)
    squares = frames.square().sum(-1) @ places.sum(0).mT  # (..., M)
    # A frame counts in place k with the reciprocal norms of the tuples that have it there.
    weights = torch.stack([squares.clamp_min(1e-24).rsqrt() @ place for place in places], dim=-2) / places.shape[1]
    return (weights @ frames).flatten(-2)


def tuple_places(frames: int, cardinality: int) -> Tensor:
    """(cardinality, M, T): 1 where the tuple has the frame in that place."""
    table = tuple_table(frames, cardinality)
    return (table.mT.unsqueeze(-1) == torch.arange(frames)).double()


def pair_weights(query_frames: int, frames: int, cardinalities: tuple[int, ...]) -> Tensor:
    """(T', T): weighted with it, frame distances sum to the mean over all tuple pairs of the mean over their places."""
    weights: list[Tensor] = []
    for w in cardinalities:
        counts = [tuple_places(t, w).mean(1) for t in (query_frames, frames)]  # (w, T') and (w, T), rows sum to 1
        weights.append(counts[0].mT @ counts[1] / w)
    return torch.stack(weights).mean(0)
