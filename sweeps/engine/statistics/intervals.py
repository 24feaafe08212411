"""Accuracies and differences with intervals that say what they cover.

The model: a seed's accuracy on an episode = the method's expected accuracy + what the training seed adds + what the
episode adds, the same for every seed + the rest. The error of a mean over S seeds on E shared episodes then has two
independent parts. The spread of the seeds' means shows the first (seed and rest), with S - 1 degrees of freedom; the
covariance between seeds over episodes shows the second. Their half widths are added in squares, each with its own
quantile (Graybill and Wang 1980; Zou and Donner 2008), because one t quantile for the sum is too short where a few
seeds happen to agree.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sweeps.engine.statistics.outcomes import Outcomes, check_same_episodes, check_same_seeds

Covers = Literal["seeds and episodes", "episodes"]

_SMALLEST_P = 1e-12


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """How much the accuracies of trainings differ that differ in their seed only."""

    sd: float
    """Of one seed's mean over the episodes, a fraction."""
    df: float
    """Degrees of freedom behind ``sd``; ``math.inf`` for a value that is assumed."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An accuracy or a difference of accuracies, a fraction, and the two parts of its standard error."""

    value: float
    seeds_se: float | None
    """Standard error from the draw of seeds; None where nothing is known of it."""
    seeds_df: float
    """Degrees of freedom behind ``seeds_se``; ``math.inf`` where it is assumed, 0 where it is not known."""
    episodes_se: float
    """Standard error from the draw of episodes; infinite for a single episode, 0 where every episode ends alike."""

    @property
    def covers(self) -> Covers:
        """``episodes``: the interval is about these trained weights, not about the method."""
        return "episodes" if self.seeds_se is None else "seeds and episodes"

    def half_width(self, level: float = 0.95) -> float:
        tail = (1 + level) / 2
        over_seeds = 0.0 if self.seeds_se is None else _t(self.seeds_df, tail) * self.seeds_se
        return math.hypot(over_seeds, float(special.ndtri(tail)) * self.episodes_se)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        half = self.half_width(level)
        return self.value - half, self.value + half

    def p(self) -> float:
        """Of the value 0, two-sided: 1 - the level at which the interval ends there. 1e-12 stands for less."""
        distance = abs(self.value)
        if distance == 0 or math.isinf(self.episodes_se):
            return 1.0
        if self.half_width(1 - _SMALLEST_P) <= distance:
            return _SMALLEST_P
        from scipy.optimize import brentq  # its import takes longer than all the rest of a table

        def reach(p: float) -> float:
            return self.half_width(1 - p) - distance

        return cast(float, brentq(reach, _SMALLEST_P, 1.0))


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """A row's accuracy. Its three 95 % half widths answer three questions."""

    estimate: Estimate
    """What would other seeds on other episodes give? To be printed where there are several seeds."""
    literature95: float
    """1.96 * sd / sqrt(E), as papers print it, of the episodes' means over seeds: what would these weights give on
    other episodes? Infinite for a single episode."""
    seeds95: float | None
    """t interval over seeds: what would other seeds give on these episodes? None for a single seed."""


def pooled_spread(rows: Iterable[Outcomes]) -> SeedSpread | None:
    """The spread over seeds that rows have in common, weighted by their degrees of freedom; None without two seeds.

    Rows of a table have two or three seeds each, too few to tell their own spread. Pooled they tell it, but too small
    for a row that spreads more than the others: of nominal 95 % such a row's intervals covered 85 to 88 %.
    """
    several = [row for row in rows if row.seeds > 1]
    df = sum(row.seeds - 1 for row in several)
    if df == 0:
        return None
    squares = sum(float(((row.by_seed - row.mean) ** 2).sum()) for row in several)
    return SeedSpread(sd=math.sqrt(squares / df), df=df)


def paired_spread(rows: Sequence[Outcomes]) -> SeedSpread | None:
    """What a seed adds to one row beyond what it adds to all ``rows``; None where that takes more rows or seeds.

    Rows trained from the same seeds, given in the same order, share initial weights, episodes and what they need
    first, so that a lucky seed is often lucky for all of them, and differences spread much less than accuracies.
    Of two rows this is the paired t test. Of R rows it has (R - 1) (S - 1) degrees of freedom, but is too small for a
    baseline among near copies of one another: then pool less, or do not pair. For ``difference`` and
    ``rank_agreement`` only. Raises ValueError for rows with different numbers of seeds.
    """
    check_same_seeds(rows)
    means = np.stack([row.by_seed for row in rows])
    df = (means.shape[0] - 1) * (means.shape[1] - 1)
    if df == 0:
        return None
    rest = means - means.mean(0) - means.mean(1, keepdims=True) + means.mean()
    return SeedSpread(sd=math.sqrt(float((rest**2).sum()) / df), df=df)


def accuracy(row: Outcomes, spread: SeedSpread | None = None) -> Accuracy:
    """With the row's own spread over seeds, or one known from elsewhere, for instance pooled over a table."""
    own = pooled_spread([row])
    by_episode = row.accuracies.mean(0, keepdims=True)
    variance = _common(_covariance(row.accuracies))
    return Accuracy(
        estimate=_estimate(row.mean, spread or own, 1 / row.seeds, _standard_error(variance, row.episodes)),
        literature95=1.96 * _standard_error(float(_covariance(by_episode)[0, 0]), row.episodes),
        seeds95=None if own is None else _t(own.df, 0.975) * own.sd / math.sqrt(row.seeds),
    )


def difference(ours: Outcomes, theirs: Outcomes, spread: SeedSpread | None = None, *, paired: bool = False) -> Estimate:
    """Mean accuracy of ``ours`` minus that of ``theirs``, paired by episode.

    ``paired`` says that both were trained from the same seeds, in the same order; ``spread`` is then a
    ``paired_spread``, else a ``pooled_spread``, by default that of the two rows. To be chosen before looking. Where
    both rows have one seed and no spread is given, the estimate covers episodes only. Raises ValueError for different
    numbers of episodes, and for different numbers of seeds if paired.
    """
    check_same_episodes((ours, theirs))
    if spread is None:
        spread = paired_spread((ours, theirs)) if paired else pooled_spread((ours, theirs))
    s, both = ours.seeds, _covariance(np.concatenate([ours.accuracies, theirs.accuracies]))
    across = _common(both[:s, s:]) if paired else float(both[:s, s:].mean())
    variance = _common(both[:s, :s]) + _common(both[s:, s:]) - 2 * across
    shares = 1 / ours.seeds + 1 / theirs.seeds
    return _estimate(ours.mean - theirs.mean, spread, shares, _standard_error(variance, ours.episodes))


def _estimate(value: float, spread: SeedSpread | None, shares: float, episodes_se: float) -> Estimate:
    """``shares`` is the sum of 1 / S over the means that make up ``value``."""
    if spread is None:
        return Estimate(value=value, seeds_se=None, seeds_df=0, episodes_se=episodes_se)
    of_means = spread.sd * math.sqrt(shares)
    return Estimate(value=value, seeds_se=of_means, seeds_df=spread.df, episodes_se=episodes_se)


def _covariance(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """(L, L) between (L, E) lines over episodes; zeros for a single episode."""
    return np.atleast_2d(np.cov(lines)) if lines.shape[1] > 1 else np.zeros((len(lines), len(lines)))


def _standard_error(variance: float, episodes: int) -> float:
    """An estimated variance below 0 counts as 0; a single episode tells nothing."""
    return math.sqrt(max(0.0, variance) / episodes) if episodes > 1 else math.inf


def _common(block: NDArray[np.float64]) -> float:
    """Variance of what an episode adds for every seed: the mean covariance of two different seeds.

    One seed alone does not tell it from the rest, so that its whole variance is taken, which is too much.
    """
    s = len(block)
    return float((block.sum() - np.trace(block)) / (s * (s - 1))) if s > 1 else float(block[0, 0])


def _t(df: float, tail: float) -> float:
    return float(special.ndtri(tail) if math.isinf(df) else special.stdtrit(df, tail))
