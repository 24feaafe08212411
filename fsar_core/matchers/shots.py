"""The ways in which K shots of a class become one score."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from fsar_core.episode import Features
from fsar_core.precision import wide

Shots = Literal["distances", "features", "nearest"]
"""``distances``: mean distance to the K shots. ``features``: distance to the mean of the K shots, frame index by frame
index. ``nearest``: distance to the nearest shot. They differ for K > 1 only."""

ShotRule = Literal["mean", "min"]
"""How the scores of single (query, support) pairs give the class score: their mean, or that of the minimum distance,
which is the greatest score."""


def shot_rule(shots: Shots, shot: int) -> ShotRule | None:
    """None where the class score is no function of the pair scores."""
    if shot == 1 or shots == "distances":
        return "mean"
    return "min" if shots == "nearest" else None


def class_scores(pair_scores: Callable[[Tensor, Tensor], Tensor], features: Features, shots: Shots) -> Tensor:
    """(*B, Q, N). ``pair_scores`` takes (*B, Q, T', D) and (*B, S, T, D), and gives (*B, Q, S) scores."""
    support = features.support
    if shots == "features":
        return pair_scores(features.query, wide(support).mean(-3))
    scores = pair_scores(features.query, support.flatten(-4, -3)).unflatten(-1, support.shape[-4:-2])
    return scores.amax(-1) if shots == "nearest" else scores.mean(-1)
