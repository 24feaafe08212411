"""Do our rows stand in the order that a paper prints?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from scipy.stats import kendalltau

from sweeps.engine.statistics.comparisons import holm
from sweeps.engine.statistics.intervals import SeedSpread, difference
from sweeps.engine.statistics.outcomes import Outcomes


@dataclass(frozen=True, kw_only=True)
class RankAgreement:
    """Kendall's tau-b of two orders, and what is behind it, pair by pair."""

    tau: float
    """Of our means with the printed values: 1 same order, -1 reversed, 0 where all our means are equal."""
    low: float
    """Of the 95 % interval of the tau that our expected accuracies have with the printed values as they stand."""
    high: float
    agree: int
    """Pairs of rows whose printed order we confirm, all of them together at 95 %."""
    contradict: int
    """Pairs whose printed order is wrong here, at the same level."""
    undecided: int
    """Pairs that our seeds and episodes cannot order."""
    tied: int
    """Pairs printed with the same value, which have no order to confirm."""


def rank_agreement(
    rows: Sequence[Outcomes], printed: Sequence[float], spread: SeedSpread | None = None, *, paired: bool = False
) -> RankAgreement:
    """Tests every pair of rows with a printed order (``difference``), corrected by Holm, and counts.

    The interval puts all undecided pairs on one side, then on the other, so that it covers in at least 95 % of cases
    where the intervals of differences do; resampled taus do not, since noise can only disturb an order. With one seed
    a row and no ``spread`` it covers episodes only. Raises ValueError where there is no order to compare.
    """
    if len(rows) != len(printed) or len(set(printed)) < 2:
        raise ValueError(
            "an order needs a printed value for every row, and at least two different ones; "
            f"there are {len(rows)} rows and the values {list(printed)}"
        )
    pairs = list(combinations(range(len(rows)), 2))
    ordered = [(a, b) if printed[a] > printed[b] else (b, a) for a, b in pairs if printed[a] != printed[b]]
    found = [difference(rows[upper], rows[lower], spread, paired=paired) for upper, lower in ordered]
    sure = [p < 0.05 for p in holm([each.p() for each in found])]
    agree = sum(known and each.value > 0 for known, each in zip(sure, found, strict=True))
    contradict = sum(sure) - agree
    undecided = len(ordered) - sum(sure)
    most = math.sqrt(len(ordered) * len(pairs))
    return RankAgreement(
        tau=_tau([row.mean for row in rows], printed),
        low=(agree - contradict - undecided) / most,
        high=(agree - contradict + undecided) / most,
        agree=agree,
        contradict=contradict,
        undecided=undecided,
        tied=len(pairs) - len(ordered),
    )


def _tau(ours: Sequence[float], printed: Sequence[float]) -> float:
    return 0.0 if len(set(ours)) == 1 else float(cast(float, kendalltau(ours, printed, variant="b")[0]))
