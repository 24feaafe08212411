"""Warping that may drop frames. Dvornik et al., NeurIPS 2021, https://arxiv.org/abs/2108.11996 (VIM, table 15).

As in the public code, https://github.com/SamsungLabs/Drop-DTW, where the support takes the place of its steps.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.blocks import in_blocks
from fsar_core.matchers.cosine import frame_cosine
from fsar_core.matchers.diagonals import FAR, diagonals, of_each_pair, shifted
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule

SoftMin = Literal["prob", "gamma", "hard"]
"""``prob``: mean of the costs, weighted by softmax(-cost / gamma). ``gamma``: -gamma log(sum exp(-cost / gamma)); the
public code adds 1e-5 to this sum, relative to the largest term of its batch, so that pairs depend on each other.
``hard``: the minimum."""


class DropDtw(nn.Module):
    """The cost of a path that matches every support frame, in order, and may drop query frames. No parameters.

    Costs are negative logarithms of a softmax over the support frames and one more entry, which stands for dropping.
    """

    class Config(MatcherBase):
        kind: Literal["drop_dtw"] = "drop_dtw"
        gamma: float = Field(default=0.1, gt=0)
        """Temperature of the soft minimum."""
        softmin: SoftMin = "prob"
        temperature: float = Field(default=0.1, gt=0)
        """Of the softmax that turns cosines into costs."""
        keep: float = Field(default=0.3, gt=0, le=1)
        """The entry for dropping is the cosine which this share of all cosines of a pair reaches or exceeds."""
        contiguous: bool = True
        """A support frame takes consecutive query frames, with no dropped one between."""
        exclusive: bool = True
        """A query frame matches one support frame only (the public code's default). With as many query as support
        frames nothing can then be dropped and only the diagonal is left; false lets a query frame match several."""
        shots: Shots = "features"
        """VIM has mean prototypes."""

        def build(self, shape: Shape) -> "DropDtw":
            return DropDtw(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self.config.shots, shot)

    def forward(self, features: Features) -> Match:
        return Match(logits=class_scores(self.pair_scores, features, self.config.shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), minus costs per query frame."""
        return in_blocks(self._scores, query, support)

    def _scores(self, query: Tensor, support: Tensor) -> Tensor:
        cosines = frame_cosine(query, support, eps=0).transpose(-3, -2).mT  # (*B, A, S, T, T')
        return -of_each_pair(self._cost, cosines)

    def _cost(self, cosines: Tensor) -> Tensor:
        config = self.config
        match, drop = frame_costs(cosines, config.temperature, config.keep)
        repeats = math.ceil(match.shape[1] / match.shape[2])
        match, drop = match.repeat_interleave(repeats, 2), drop.repeat_interleave(repeats, 1)
        softmin = partial(soft_minimum, kind=config.softmin, gamma=config.gamma)
        cost = dropping_cost(match, drop, softmin, contiguous=config.contiguous, exclusive=config.exclusive)
        return cost / match.shape[2]


def frame_costs(cosines: Tensor, temperature: float, keep: float) -> tuple[Tensor, Tensor]:
    """(P, I, J) cosines -> (P, I, J) costs to match and (P, J) costs to drop the second video's frames."""
    every = cosines.flatten(1)
    bar = every.topk(max(1, int(keep * every.shape[1]))).values[:, -1].detach()
    entries = torch.cat((cosines, bar[:, None, None].expand(-1, 1, cosines.shape[2])), dim=1)
    costs = -((entries / temperature).softmax(1) + 1e-5).log()
    return costs[:, :-1], costs[:, -1]


def soft_minimum(costs: Tensor, kind: SoftMin, gamma: float) -> Tensor:
    """Over the first axis."""
    if kind == "prob":
        return ((-costs / gamma).softmax(0) * costs).sum(0)
    return costs.amin(0) if kind == "hard" else torch.logsumexp(-costs / gamma, 0) * -gamma


def dropping_cost(
    match: Tensor, drop: Tensor, softmin: Callable[[Tensor], Tensor], *, contiguous: bool, exclusive: bool
) -> Tensor:
    """(P, I, J) costs to match and (P, J) costs to drop a column -> (P,) costs of the best path.

    With M the best cost where column j is matched to row i, and D the best of all where j columns and i rows are done:

        M[i, j] = match[i, j] + softmin(D[i-1, j-1], M[i, j-1])      (D[i, j-1] in the second place if not contiguous,
        D[i, j] = softmin(D[i, j-1] + drop[j], M[i, j])               M[i-1, j] as a third if not exclusive)

    No row can be dropped: paths exist only where J >= I or rows may share a column.
    """
    rows = match.shape[1]
    far = match.new_full((rows, len(match)), FAR)
    dropped = torch.cat((torch.zeros_like(drop[:, :1]), drop.cumsum(1)), dim=1).mT.split(1)  # before any row is matched
    best, best_before, matched = far, far, far
    drops = diagonals(drop.unsqueeze(1).expand(-1, rows, -1))
    for s, (cost, drop_cost) in enumerate(zip(diagonals(match), drops, strict=True)):
        corner = dropped[s][0] if s < len(dropped) else far[0]
        before = [shifted(best_before, corner), matched if contiguous else best]
        if not exclusive:
            before.append(shifted(matched, far[0]))
        matched = softmin(torch.stack(before)) + cost
        best, best_before = softmin(torch.stack((best + drop_cost, matched))), best
    return best[-1]
