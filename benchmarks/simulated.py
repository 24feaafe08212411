"""Tables with a known truth: rows, seeds and episodes made up at random; and how the benchmarks print them.

A row is trained from some seeds whose expected accuracies are normal around 60 %, and tested on shared episodes of
five queries, which are hard for every row, for a row, or for one training.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy import special

from sweeps.engine.statistics.intervals import SeedSpread, pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes

MEAN = 0.6
SEEDS = (1, 2, 3, 5, 10)
OTHER_ROWS = 6
QUERIES = 5
SHARED, OF_ROW, REST = 0.7, 0.15, 0.15
"""Of a query's latent difficulty: common to all rows, to a row's seeds, to none. Two seeds of a row then correlate
over episodes by 0.65, as they do on MotionShapes, and an episode's accuracy has a standard deviation of 0.22."""
OWN_SD = 0.13
"""Standard deviation of an episode's accuracy that two seeds of a row do not share: 0.22 * sqrt(1 - 0.65)."""

Tally = defaultdict[tuple[object, ...], list[float]]


def latents(rows: int, seeds: int, episodes: int, draws: np.random.Generator) -> NDArray[np.float32]:
    """(rows, seeds, episodes, QUERIES) standard normal difficulties."""

    def normal(*shape: int) -> NDArray[np.float32]:
        return draws.standard_normal((*shape, episodes, QUERIES), np.float32)

    difficulty = normal(rows, seeds)
    difficulty *= math.sqrt(REST)
    difficulty += math.sqrt(SHARED) * normal(1, 1)
    difficulty += math.sqrt(OF_ROW) * normal(rows, 1)
    return difficulty


def made_rows(difficulty: NDArray[np.float32], expected: NDArray[np.float64]) -> list[Outcomes]:
    """Rows whose seeds answer a query with exactly the expected accuracies, (rows, seeds)."""
    threshold = special.ndtri(expected).astype(np.float32)[..., None, None]
    return [Outcomes(own.mean(-1)) for own in difficulty < threshold]


def first_seeds(row: Outcomes, count: int) -> Outcomes:
    return Outcomes(row.accuracies[:count])


def table_spread(pair: tuple[Outcomes, ...], others_sd: NDArray[np.float64], draws: np.random.Generator) -> SeedSpread:
    """Pooled over ``pair`` and further rows of a table with as many seeds, whose variances are drawn directly.

    With one seed a row the true value is taken as known.
    """
    own, df = pooled_spread(pair), pair[0].seeds - 1
    others_sd = np.hypot(others_sd, OWN_SD / math.sqrt(pair[0].episodes))
    if own is None:
        return SeedSpread(sd=float(np.sqrt((others_sd**2).mean())), df=math.inf)
    squares = own.sd**2 * own.df + float((others_sd**2 * draws.chisquare(df, len(others_sd))).sum())
    total = own.df + df * len(others_sd)
    return SeedSpread(sd=math.sqrt(squares / total), df=total)


def each(count: int, what: str) -> Iterable[int]:
    return track(range(count), what, console=Console(stderr=True))


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for line in lines:
        print("| " + " | ".join(line) + " |")


def percent(values: list[float]) -> str:
    return f"{100 * float(np.mean(values)):.1f}"
