"""Is a printed number reproduced? Two one-sided tests against a margin, which can also say yes."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from scipy import special

from sweeps.engine.statistics.intervals import Estimate, SeedSpread, accuracy, pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes

Verdict = Literal["reproduced", "better", "worse", "undecided"]

MARGIN = 0.01
"""One point. A printed number is one training of unknown seed on one draw of 10,000 episodes, rounded: its episodes
move it by 0.4 points (the ± that papers print), a spread over seeds of 0.4 points by 1.96 * 0.4, the rounding by 0.05;
together sqrt(0.4^2 + 0.8^2 + 0.05^2) = 0.9. Within half a point, a paper's own repetition would often not count as one.
"""

_LEVEL = 0.90
"""Leaves 5 % on either side: the interval of two one-sided tests at 5 %."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Our expected accuracy beside a printed value."""

    verdict: Verdict
    """``reproduced``: the interval lies within the margin on both sides. ``better``, ``worse``: it lies beyond the
    margin on that side. ``undecided``: it contains an end of the margin, or the spread over seeds is not known."""
    difference: Estimate
    """Ours minus printed."""
    low: float
    """Of the 90 % interval of the difference, by which the verdict is made."""
    high: float
    margin: float
    seeds_needed: int | None
    """In all, to decide; None where it is decided, and where no number of seeds up to the cap would do."""
    reason: str
    """Why it is undecided and what to do; empty where it is decided."""


def reproduction(
    row: Outcomes, printed: float, *, margin: float = MARGIN, spread: SeedSpread | None = None, most_seeds: int = 20
) -> Reproduction:
    """Whether the expected accuracy of ``row`` is within ``margin`` of ``printed``, both fractions.

    The printed value is taken as it stands; what is uncertain of it (rounding, its own seed, its own episodes, which
    nobody printed) is what the margin is for. So ``worse`` says that our recipe is below the printed number by more
    than the margin, not that the paper is wrong: a checkpoint chosen on the test list, for instance, is above it by
    construction. ``spread`` is the spread over seeds pooled over more rows than this one; without it and with one
    seed nothing can be decided. Raises ValueError for values that are no fractions.
    """
    faults = [f"printed is {printed}"] if not 0 <= printed <= 1 else []
    faults += [f"margin is {margin}"] if not 0 < margin < 1 else []
    if faults:
        raise ValueError(
            f"printed value and margin must be fractions, the margin above 0: {', '.join(faults)}; "
            "divide per cents and points by 100"
        )
    spread = spread or pooled_spread([row])
    ours = accuracy(row, spread).estimate
    apart = replace(ours, value=ours.value - printed)
    low, high = apart.interval(_LEVEL)
    verdict = "undecided" if spread is None else _verdict(low, high, margin)
    needed, reason = None, ""
    if verdict == "undecided":
        needed, reason = _more(apart, spread, row.seeds, margin, most_seeds)
    return Reproduction(
        verdict=verdict, difference=apart, low=low, high=high, margin=margin, seeds_needed=needed, reason=reason
    )


def _verdict(low: float, high: float, margin: float) -> Verdict:
    if low > margin:
        return "better"
    if high < -margin:
        return "worse"
    return "reproduced" if -margin < low and high < margin else "undecided"


def _more(
    apart: Estimate, spread: SeedSpread | None, seeds: int, margin: float, most_seeds: int
) -> tuple[int | None, str]:
    """Seeds for which the interval is short enough in four of five cases, if the true difference is that of now."""
    if spread is None:
        return 2, "one seed: its spread over seeds is unknown; train a second one"
    gap = abs(margin - abs(apart.value))
    if replace(apart, seeds_se=None).half_width(_LEVEL) >= gap:
        return None, "the draw of episodes alone leaves it open: test on more episodes"
    power = float(special.ndtri(0.8))
    for count in range(seeds + 1, most_seeds + 1):
        df = max(spread.df, count - 1)
        of_mean = spread.sd / math.sqrt(count)
        if replace(apart, seeds_se=of_mean, seeds_df=df).half_width(_LEVEL) + power * of_mean < gap:
            return count, f"about {count} seeds needed, if seeds go on to differ by {100 * spread.sd:.1f} points"
    now = f"ours − printed is {100 * apart.value:+.1f} points, the margin {100 * margin:.1f}".replace("-", "−")
    return None, f"more than {most_seeds} seeds needed: {now}"
