"""How often the bands of `fsar drift` alarm, in simulated reruns whose truth is known. Prints Markdown.

  python benchmarks/drift_simulated.py [--series 300]        minutes of one core

A rerun is a table of rows, each trained from seeds of its own, whose accuracies spread by one point. Seeds may move all
rows of a rerun alike, rows may spread differently, and a rerun may have a share of its own beside its seeds. Honest
series say how many reruns leave a band; series that lose points from a certain rerun on, when that is a regression.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from sweeps.engine.drift_band import Quantity, Sample, bands

SPREAD, QUANTUM = 0.01, 1e-4
Table = NDArray[np.float64]
"""Accuracies: (rows, seeds)."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How reruns of a table come about."""

    rows: int
    seeds: int
    common: float = 0.0
    """Share of a seed's variance that all rows have alike."""
    of_rerun: float = 0.0
    """Spread of whole reruns, in spreads over seeds."""
    unequal: float = 0.0
    """Spread of the logarithm of the rows' own spreads."""

    def words(self) -> str:
        return f"{self.rows} | {self.seeds} | {self.common:g} | {self.of_rerun:g} | {self.unequal:g}"


HONEST = (
    Truth(rows=3, seeds=2),
    Truth(rows=3, seeds=2, common=0.5, of_rerun=0.5),
    Truth(rows=10, seeds=3, common=0.2, unequal=0.2),
    Truth(rows=12, seeds=1, unequal=0.5),
)
LOSING = Truth(rows=12, seeds=2, common=0.3, unequal=0.3)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=300, help="of every kind")
    count, draws, console = parser.parse_args().series, np.random.default_rng(0), Console(stderr=True)
    print("| rows | seeds a rerun | common to rows | of whole reruns | unequal rows | leave a band | regressions |")
    print("|---|---|---|---|---|---|---|")
    for truth in HONEST:
        found = [states(truth, draws, reruns=12) for _ in track(range(count), truth.words(), console=console)]
        left = np.mean([state != "fine" for own in found for state in own])
        regressed = np.mean([state == "regression" for own in found for state in own])
        print(f"| {truth.words()} | {100 * left:.1f} % | {100 * regressed:.2f} % |")
    print("\n| honest reruns before | 2 points lost | 3 points | 4 points |\n|---|---|---|---|")
    for before in (4, 6):
        powers = [power(before, points, count, draws, console) for points in (2, 3, 4)]
        print(f"| {before} | " + " | ".join(f"{100 * own:.0f} %" for own in powers) + " |")


def power(before: int, points: int, count: int, draws: np.random.Generator, console: Console) -> float:
    """Share of series in which the second rerun that loses ``points`` in every row is a regression."""
    named = f"{points} points after {before}"
    ends = [
        states(LOSING, draws, reruns=before + 2, loses=points / 100, since=before)[-1]
        for _ in track(range(count), named, console=console)
    ]
    return float(np.mean([end == "regression" for end in ends]))


def states(
    truth: Truth,
    draws: np.random.Generator,
    *,
    reruns: int,
    loses: float = 0.0,
    since: int | None = None,
    first: int = 3,
) -> list[str]:
    """Of the reruns after the ``first``: fine, above, below, or regression where one is below after another."""
    tables = [
        table - (loses if since is not None and number >= since else 0.0)
        for number, table in enumerate(tables_of(truth, draws, reruns))
    ]
    reference, below, found = list(range(first)), np.zeros(truth.rows + 1, bool), list[str]()
    for number in range(first, reruns):
        left = [band.left for band in bands(quantities(tables, reference, number))]
        low = np.array([own == "below" for own in left])
        again, below = bool((below & low).any()), low
        if again:
            found.append("regression")
        elif low.any() or "above" in left:
            found.append("below" if low.any() else "above")
        else:
            found.append("fine")
            reference.append(number)
    return found


def tables_of(truth: Truth, draws: np.random.Generator, reruns: int) -> Iterator[Table]:
    levels = draws.uniform(0.4, 0.7, (truth.rows, 1))
    spreads = SPREAD * np.exp(truth.unequal * draws.standard_normal((truth.rows, 1)))
    for _ in range(reruns):
        own = np.sqrt(1 - truth.common) * draws.standard_normal((truth.rows, truth.seeds))
        own += np.sqrt(truth.common) * draws.standard_normal(truth.seeds)
        yield levels + spreads * own + truth.of_rerun * SPREAD * draws.standard_normal((truth.rows, 1))


def quantities(tables: Sequence[Table], reference: Sequence[int], now: int) -> list[Quantity]:
    """Every row, then the mean over the table."""

    def sample(number: int, row: int | None) -> Sample:
        values = tables[number].mean(0) if row is None else tables[number][row]
        seeds = range(number * len(values), (number + 1) * len(values))
        return Sample(tuple(seeds), values)

    return [
        Quantity(
            tuple(sample(number, row) for number in reference),
            sample(now, row),
            None if row is None else str(row),
            QUANTUM,
        )
        for row in (*range(tables[now].shape[0]), None)
    ]


if __name__ == "__main__":
    main()
