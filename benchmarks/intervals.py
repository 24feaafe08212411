"""Do intervals hold what they say? Simulated tables with a known truth; prints Markdown.

  python benchmarks/intervals.py [--tables 600]      about 2 minutes

Every part starts from its own seed, so that the same command prints the same tables.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from interval_rivals import accuracy_intervals, bootstraps, one_t, over_episodes
from simulated import (
    MEAN,
    OTHER_ROWS,
    SEEDS,
    Tally,
    each,
    first_seeds,
    latents,
    made_rows,
    percent,
    table,
    table_spread,
)

from fsar_core.seeds import generator
from sweeps.engine.statistics.bootstrap import bootstrap_difference
from sweeps.engine.statistics.intervals import difference, paired_spread, pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes

SPREADS = (0.003, 0.005, 0.01)
WIDE_SPREADS = (0.005, 0.016, 0.032)
SHARES = (0.0, 0.8)
POINTS = (0.5, 1.0, 2.0)


def holds(interval: tuple[float, float], truth: float = 0.0) -> bool:
    return interval[0] <= truth <= interval[1]


def by_spread_and_seeds(
    tally: Tally,
    names: Sequence[str],
    text: Callable[[str, float, int], str],
    spreads: Sequence[float] = SPREADS,
) -> None:
    """A line per spread and name, a column per number of seeds."""
    table(
        ("sd over seeds", "", *(f"{count} seeds" if count > 1 else "1 seed" for count in SEEDS)),
        (
            (f"{100 * sd:.1f}", name, *(text(name, sd, count) if tally[name, sd, count] else "–" for count in SEEDS))
            for sd in spreads
            for name in names
        ),
    )


def held(tally: Tally, name: str, case: float, count: int) -> str:
    return f"{percent(tally[name, case, count])} ({100 * float(np.mean(tally[name, case, count, 'half'])):.2f})"


def look(tally: Tally, pair: tuple[Outcomes, Outcomes], sd: float, draws: np.random.Generator) -> None:
    """All intervals of one row, and of a pair of rows that differ by nothing."""
    a, b = pair

    def note(name: str, error: float, half: float) -> None:
        tally[name, sd, a.seeds].append(abs(error) <= half)
        tally[name, sd, a.seeds, "half"].append(half)
        for points in POINTS:
            tally[name, sd, a.seeds, points].append(abs(error + points / 100) > half)

    for name, half in accuracy_intervals(a).items():
        note(name, a.mean - MEAN, half)
    for name, (low, high) in {"episodes only": over_episodes(a, b), "one t quantile": one_t(a, b)}.items():
        note(name, a.mean - b.mean, (high - low) / 2)
    mixed = draws.uniform(SPREADS[0], SPREADS[-1], OTHER_ROWS)
    spreads = {
        "two rows": pooled_spread(pair),
        "eight rows": table_spread(pair, np.full(OTHER_ROWS, sd), draws),
        "eight rows, the others 0.3 to 1.0": table_spread(pair, mixed, draws),
    }
    for name, spread in spreads.items():
        if spread is not None:
            found = difference(a, b, spread)
            note(name, found.value, found.half_width())


def coverage(tables: int, episodes: int) -> None:
    """Of accuracies and differences, their widths, and the power of differences."""
    tally: Tally = defaultdict(list)
    draws = generator(0, "coverage", episodes)
    for _ in each(tables, f"coverage, {episodes} episodes"):
        difficulty = latents(2, max(SEEDS), episodes, draws)
        shift = draws.standard_normal((2, max(SEEDS)))
        for sd in SPREADS:
            a, b = made_rows(difficulty, MEAN + sd * shift)
            for count in SEEDS:
                look(tally, (first_seeds(a, count), first_seeds(b, count)), sd, draws)

    def found(name: str, sd: float, count: int) -> str:
        return " / ".join(f"{100 * float(np.mean(tally[name, sd, count, points])):.0f}" for points in POINTS)

    print(f"\n## {episodes:,} episodes, {tables:,} simulated tables")
    print("\nAn accuracy: how often its interval holds the expected one, per cent (mean half width, points).")
    by_spread_and_seeds(tally, ("±, literature", "t over seeds", "both"), partial(held, tally))
    print("\nA difference of two rows that are equally good: how often its interval holds 0 (mean half width).")
    pairs = ("two rows", "eight rows")
    by_spread_and_seeds(
        tally, ("episodes only", "one t quantile", *pairs, f"{pairs[1]}, the others 0.3 to 1.0"), partial(held, tally)
    )
    print("\nPower: how often a true difference of 0.5 / 1.0 / 2.0 points is found, per cent.")
    by_spread_and_seeds(tally, pairs, found)


def resampling(tables: int) -> None:
    """The bootstrap beside the rule in use, and rows of unequal spread."""
    tally: Tally = defaultdict(list)
    draws = generator(0, "resampling")
    for i in each(tables, "bootstrap"):
        difficulty = latents(2, max(SEEDS), 1000, draws)
        shift = draws.standard_normal((2, max(SEEDS)))
        for sd in WIDE_SPREADS:
            a, b = made_rows(difficulty, MEAN + sd * shift)
            c, d = made_rows(difficulty, MEAN + sd * np.array([[0.45], [1.34]]) * shift)
            for count in SEEDS:
                pair = first_seeds(a, count), first_seeds(b, count)
                for name, interval in bootstraps(*pair, 1000, i).items():
                    tally[name, sd, count].append(holds(interval))
                tally["two rows", sd, count].append(holds(difference(*pair).interval()))
                unequal = difference(first_seeds(c, count), first_seeds(d, count))
                tally["two rows, sd 1 : 3", sd, count].append(holds(unequal.interval()))
    print(f"\n## Resampling: 1,000 episodes, {tables} simulated tables, 1,000 resamples")
    print("\nHow often the interval of a difference holds 0, per cent. Spreads of 1.6 and 3.2 points stand to 1,000")
    print("episodes as 0.5 and 1.0 points to 10,000.")
    names = ("percentile", "BCa", "two rows", "two rows, sd 1 : 3")

    def share(name: str, sd: float, count: int) -> str:
        return percent(tally[name, sd, count])

    by_spread_and_seeds(tally, names, share, WIDE_SPREADS)


def pairing(tables: int) -> None:
    """Tables of eight rows whose seeds are, and are not, lucky together; all rows are simulated in full."""
    tally: Tally = defaultdict(list)
    draws = generator(0, "pairing")
    for _ in each(tables, "paired seeds"):
        difficulty = latents(8, max(SEEDS), 1000, draws)
        of_seed, rest = draws.standard_normal((1, max(SEEDS))), draws.standard_normal((8, max(SEEDS)))
        for together in SHARES:
            shift = math.sqrt(together) * of_seed + math.sqrt(1 - together) * rest
            rows = made_rows(difficulty, MEAN + 0.016 * shift)
            for count in SEEDS[1:]:
                own = [first_seeds(row, count) for row in rows]
                a, b, *_ = own
                found = {
                    "unpaired, two rows": difference(a, b),
                    "unpaired, eight rows": difference(a, b, pooled_spread(own)),
                    "paired, two rows": difference(a, b, paired=True),
                    "paired, eight rows": difference(a, b, paired_spread(own), paired=True),
                }
                for name, estimate in found.items():
                    tally[name, together, count].append(abs(estimate.value) <= estimate.half_width())
                    tally[name, together, count, "half"].append(estimate.half_width())
    print(f"\n## Paired seeds: 1,000 episodes, sd over seeds 1.6, {tables} simulated tables of eight equal rows")
    print("\nHow often the interval of a difference holds 0, per cent (mean half width, points).")
    table(
        ("of the variance over seeds common to all rows", "spread", *(f"{count} seeds" for count in SEEDS[1:])),
        (
            (f"{100 * together:.0f} %", name, *(held(tally, name, together, count) for count in SEEDS[1:]))
            for together in SHARES
            for name in ("unpaired, two rows", "unpaired, eight rows", "paired, two rows", "paired, eight rows")
        ),
    )


def speed() -> None:
    draws = generator(0, "speed")
    a, b = made_rows(latents(2, 3, 10000, draws), np.full((2, 3), MEAN))
    works: dict[str, Callable[[], object]] = {
        "difference": lambda: difference(a, b).p(),
        "bootstrap_difference": lambda: bootstrap_difference(a, b),
    }
    print("\n## Time\n\nTwo rows of 3 seeds, 10,000 episodes, 2,000 resamples; CPU time, best of 3.\n")
    for name, work in works.items():
        print(f"- `{name}` {1000 * min(seconds(work) for _ in range(3)):.1f} ms")


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=600, help="simulated in the largest parts")
    tables: int = parser.parse_args().tables
    coverage(tables, 10000)
    coverage(tables, 1000)
    resampling(tables // 2)
    pairing(tables // 2)
    speed()


if __name__ == "__main__":
    main()
