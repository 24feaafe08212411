"""The band in which the mean of an honest rerun falls, told from the reruns before it. Accuracies are fractions.

All reruns of a cell meet the same test episodes, so that what an episode adds is the same for all of them and leaves
every difference: only trainings are drawn anew. Given the episodes, a training's mean over them = the cell's level
+ what its rerun adds (another machine, another code that should not matter) + what its seed adds. The mean of a new
rerun of S seeds is then predicted from two sides:

- by seeds: K different seeds of the earlier reruns (one that came again is averaged first, so that it counts once) have
  a spread s with K - 1 degrees of freedom; the error of the prediction is s * sqrt(1 / S + 1 / K).
- by reruns: the means of the R earlier reruns have a spread r with R - 1 degrees of freedom; the error is
  r * sqrt(1 + 1 / R). It is the larger one where reruns differ by more than their seeds explain.

The band holds both, each with its t quantile, so that it is wide enough whichever of the two is true: the sides need
not be known. Both spreads are drawn towards those of the other cells (``moderated``). The band of one of m quantities
has the level 1 - a / m (Bonferroni), so that in at most a share a of honest reruns any quantity leaves its band, for
any dependence between them. Seeds that come again in every rerun make the band wider than it need be, never narrower.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.engine.drift_spread import moderated
from sweeps.engine.statistics.intervals import Estimate, SeedSpread

FALSE_ALARMS = 0.01
"""Share of honest reruns of which any quantity leaves its band, at most; half of it below."""

Side = Literal["below", "above"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One rerun of one quantity."""

    seeds: tuple[int, ...]
    means: NDArray[np.float64]
    """(S,) accuracy over the test episodes, by seed."""

    @property
    def mean(self) -> float:
        return float(self.means.mean())


@dataclass(frozen=True, eq=False)
class Quantity:
    """What is looked at in every rerun: a cell, or the mean over a table."""

    earlier: tuple[Sample, ...]
    """At least two reruns, with at least two seeds in all."""
    new: Sample
    training: str | None
    """Names the training; None for what has a spread of another kind than the cells, which is left as it is."""
    resolution: float
    """The smallest difference that a mean can show: no spread is taken to be below it."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where the mean of a new rerun should be, and where it is."""

    value: float
    centre: float
    """Mean over the earlier seeds."""
    low: float
    high: float
    by_seeds: Estimate
    """Value minus centre; its error is that of the prediction."""
    by_reruns: Estimate
    """Value minus the mean of the earlier reruns."""

    @property
    def left(self) -> Side | None:
        """On which side the value lies outside, if it does."""
        return "below" if self.value < self.low else "above" if self.value > self.high else None

    @property
    def p(self) -> float:
        """Of an honest rerun, two-sided, of this quantity alone: not corrected for the others."""
        return max(self.by_seeds.p(), self.by_reruns.p())


def bands(quantities: Sequence[Quantity], false_alarms: float = FALSE_ALARMS) -> tuple[Band, ...]:
    """Of all quantities of a rerun, in their order: give all that are looked at."""
    seeds = [by_seed([*own.earlier]) for own in quantities]
    reruns = [np.array([sample.mean for sample in own.earlier]) for own in quantities]
    seed_spreads = _spreads(quantities, seeds)
    rerun_spreads = _spreads(quantities, reruns)
    level = 1 - false_alarms / max(1, len(quantities))
    return tuple(
        _band(
            own.new.mean,
            (float(seeds[i].mean()), seed_spreads[i], 1 / len(own.new.seeds) + 1 / len(seeds[i])),
            (float(reruns[i].mean()), rerun_spreads[i], 1 + 1 / len(reruns[i])),
            level,
        )
        for i, own in enumerate(quantities)
    )


def by_seed(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """(K,) mean of each different seed, over the reruns that trained it."""
    found: dict[int, list[float]] = {}
    for sample in samples:
        for seed, mean in zip(sample.seeds, sample.means.tolist(), strict=True):
            found.setdefault(seed, []).append(mean)
    return np.array([sum(means) / len(means) for means in found.values()])


def _spreads(quantities: Sequence[Quantity], values: Sequence[NDArray[np.float64]]) -> list[SeedSpread]:
    found = [
        SeedSpread(sd=max(float(each.std(ddof=1)), own.resolution), df=len(each) - 1)
        for own, each in zip(quantities, values, strict=True)
    ]
    shared = [(i, own.training) for i, own in enumerate(quantities) if own.training is not None]
    drawn = moderated([found[i] for i, _ in shared], [training for _, training in shared])
    for (i, _), spread in zip(shared, drawn, strict=True):
        found[i] = spread
    return found


def _band(
    value: float, seeds: tuple[float, SeedSpread, float], reruns: tuple[float, SeedSpread, float], level: float
) -> Band:
    """Each side as centre, spread, and the variance of the prediction's error in units of the spread's."""
    (centre, _, _), estimates = seeds, [_estimate(value, *side) for side in (seeds, reruns)]
    ends = [(value - own.value, own.half_width(level)) for own in estimates]
    return Band(
        value=value,
        centre=centre,
        low=min(middle - half for middle, half in ends),
        high=max(middle + half for middle, half in ends),
        by_seeds=estimates[0],
        by_reruns=estimates[1],
    )


def _estimate(value: float, centre: float, spread: SeedSpread, shares: float) -> Estimate:
    of_error = spread.sd * math.sqrt(shares)
    return Estimate(value=value - centre, seeds_se=of_error, seeds_df=spread.df, episodes_se=0.0)
