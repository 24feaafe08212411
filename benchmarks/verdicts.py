"""Are verdicts on printed values right, and orders of rows? Simulated rows with a known truth; prints Markdown.

python benchmarks/verdicts.py [--rows 600]      about a minute
"""

import argparse
import math
from collections import defaultdict

import numpy as np
from interval_rivals import resampled_tau
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
from sweeps.engine.statistics.agreement import rank_agreement
from sweeps.engine.statistics.intervals import pooled_spread
from sweeps.engine.statistics.reproduction import reproduction


def shares(values: list[float], kinds: int) -> str:
    return " / ".join(f"{100 * values.count(kind) / len(values):.0f}" for kind in range(kinds))


def verdicts(tables: int) -> None:
    """By true difference, margin and seeds: how often each verdict falls; then on a paper's own repetition."""
    tally: Tally = defaultdict(list)
    draws = generator(0, "verdicts")
    gaps = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
    for _ in each(tables, "verdicts"):
        (row,) = made_rows(latents(1, 10, 10000, draws), MEAN + 0.005 * draws.standard_normal((1, 10)))
        once = float(draws.normal(MEAN, math.hypot(0.005, 0.0022)))
        for count in SEEDS[1:]:
            own = first_seeds(row, count)
            for pooled in (False, True):
                spread = table_spread((own,), np.full(OTHER_ROWS + 1, 0.005), draws) if pooled else None
                for gap in gaps:
                    found = reproduction(own, MEAN + gap / 100, spread=spread)
                    tally[pooled, count, gap].append("rwbu".index(found.verdict[0]))
                for margin in (0.005, 0.01):
                    found = reproduction(own, once, margin=margin, spread=spread)
                    tally[pooled, count, f"m{margin}"].append("rwbu".index(found.verdict[0]))
    print(f"\n## Verdicts: 10,000 episodes, sd over seeds 0.5, {tables} simulated rows")
    print("\nReproduced / worse / better / undecided, per cent, where the printed value is so many points above ours.")
    print("The margin is one point. The last two columns: the printed value is one more training of the same recipe.")
    heads = ("seeds", "spread of", *(f"{gap}" for gap in gaps), "again, margin 0.5", "again, margin 1.0")
    columns = (*gaps, "m0.005", "m0.01")
    rows = [
        (str(count), "eight rows" if pooled else "the row", *(shares(tally[pooled, count, c], 4) for c in columns))
        for count in SEEDS[1:]
        for pooled in (False, True)
    ]
    table(heads, rows)


def seeds_needed(tables: int) -> None:
    """Whether so many seeds as were said to be needed do decide."""
    draws = generator(0, "needed")
    named: list[float] = []
    decided: list[float] = []
    undecided = 0
    for _ in each(tables, "seeds needed"):
        (row,) = made_rows(latents(1, 20, 10000, draws), MEAN + 0.005 * draws.standard_normal((1, 20)))
        found = reproduction(first_seeds(row, 3), MEAN)
        undecided += found.verdict == "undecided"
        if found.seeds_needed is not None:
            named.append(found.seeds_needed)
            decided.append(reproduction(first_seeds(row, found.seeds_needed), MEAN).verdict != "undecided")
    print(f"\nPrinted value = expected accuracy: three seeds left {undecided} of {tables} rows undecided.")
    print(f"For {len(named)} a number of seeds was named, in the median {np.median(named):.0f}.")
    print(f"With that number {percent(decided)} % were decided.")


def orders(tables: int) -> None:
    """Coverage of the interval of tau, for a printed order that is right and one with a swapped pair."""
    tally: Tally = defaultdict(list)
    draws = generator(0, "orders")
    truth = MEAN + 0.005 * np.arange(6)
    swapped = [float(truth[i]) for i in (0, 1, 3, 2, 4, 5)]
    cases = {1.0: truth.tolist(), 1 - 2 / 15: swapped}
    for i in each(tables, "orders"):
        rows = made_rows(latents(6, 5, 1000, draws), truth[:, None] + 0.005 * draws.standard_normal((6, 5)))
        for count in (2, 3, 5):
            own = [first_seeds(row, count) for row in rows]
            for tau, printed in cases.items():
                found = rank_agreement(own, printed, pooled_spread(own))
                ends = {"pairs": (found.low, found.high), "percentile bootstrap": resampled_tau(own, printed, i)}
                for name, (low, high) in ends.items():
                    tally[tau, name, count].append(low - 1e-9 <= tau <= high + 1e-9)
                    tally[tau, name, count, "width"].append(high - low)
    print(f"\n## Order of six rows, half a point apart, 1,000 episodes, sd over seeds 0.5, {tables} simulated tables")
    print("\nHow often the 95 % interval of tau-b holds the true one, per cent (mean width).")
    table(
        ("true tau", "interval", "2 seeds", "3 seeds", "5 seeds"),
        (
            (
                f"{tau:.2f}",
                name,
                *(
                    f"{percent(tally[tau, name, count])} ({np.mean(tally[tau, name, count, 'width']):.2f})"
                    for count in (2, 3, 5)
                ),
            )
            for tau in cases
            for name in ("pairs", "percentile bootstrap")
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600, help="simulated in the largest part")
    rows: int = parser.parse_args().rows
    verdicts(rows)
    seeds_needed(rows // 2)
    orders(rows // 4)


if __name__ == "__main__":
    main()
