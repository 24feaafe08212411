"""How much trainings of a cell differ, told from few of them with the help of the other cells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sweeps.engine.statistics.intervals import SeedSpread

_FEWEST = 3
"""Trainings, from which a distribution of variances can be told."""
_MOST = 4
"""Trainings whose degrees of freedom add up: rows trained from the same seeds are lucky together, so that more of them
do not tell as much more."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Of the variances of all cells: a scaled inverse chi-square distribution."""

    variance: float
    df: float
    """As many degrees of freedom as it is worth for a cell: 0 nothing, ``math.inf`` if all cells spread alike."""


def moderated(spreads: Sequence[SeedSpread], trainings: Sequence[str]) -> tuple[SeedSpread, ...]:
    """Each spread, drawn towards those of all cells as far as these agree (empirical Bayes; Smyth 2004).

    With d degrees of freedom of its own, a variance s² becomes (d0 s0² + d s²) / (d0 + d), with d0 + d degrees of
    freedom, where s0² and d0 are the moments of log s² over the cells. Cells that share a training (``trainings`` names
    it) count as one, and no spread gets more degrees of freedom than four trainings have.
    """
    by_training: dict[str, list[SeedSpread]] = {}
    for spread, training in zip(spreads, trainings, strict=True):
        by_training.setdefault(training, []).append(spread)
    own = [(float(np.mean([each.sd**2 for each in same])), same[0].df) for same in by_training.values()]
    prior = _prior(np.array([variance for variance, _ in own]), np.array([df for _, df in own]))
    most = sum(sorted((df for _, df in own), reverse=True)[:_MOST])
    return tuple(_drawn(spread, prior, most) for spread in spreads)


def _drawn(own: SeedSpread, prior: Prior, most: float) -> SeedSpread:
    if prior.df == 0:
        return own
    share = 1.0 if math.isinf(prior.df) else prior.df / (prior.df + own.df)
    variance = share * prior.variance + (1 - share) * own.sd**2
    return SeedSpread(sd=math.sqrt(variance), df=min(prior.df + own.df, most))


def _prior(variances: NDArray[np.float64], df: NDArray[np.float64]) -> Prior:
    if len(variances) < _FEWEST or (variances <= 0).any():
        return Prior(variance=0.0, df=0.0)
    half = df / 2
    centred = np.log(variances) - special.digamma(half) + np.log(half)
    beyond = float(centred.var(ddof=1) - special.polygamma(1, half).mean())
    if beyond <= 0:
        return Prior(variance=float((variances * df).sum() / df.sum()), df=math.inf)
    d0 = 2 * _inverse_trigamma(beyond)
    scale = math.exp(float(centred.mean()) + float(special.digamma(d0 / 2)) - math.log(d0 / 2))
    return Prior(variance=scale, df=d0)


def _inverse_trigamma(value: float) -> float:
    from scipy.optimize import brentq  # its import takes longer than all the rest

    def apart(log_x: float) -> float:
        return float(special.polygamma(1, math.exp(log_x))) - value

    return math.exp(cast(float, brentq(apart, -20.0, 40.0)))
