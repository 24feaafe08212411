"""How often do the finals of a search call a point better that is not? Simulated searches; prints Markdown.

  python benchmarks/finals.py [--searches 2000]      less than half a minute

A search tries 20 points with seed 0, ranks them by a look at val and sends its best three to the finals. There every
seed of every point is measured on the same episodes, as ``verdict`` reads them. All points are equal, so that each
"better" is wrong (2.5 % by design), or one is better by as much as a column says. Seeds of the finals:
``0, 1, 2`` as they are (seed 0 has chosen the points), ``1, 2, 3`` without it, which takes one training more a point.
Behind ± stands the standard error over the searches.
"""

import argparse

import numpy as np

from fsar_core.seeds import generator
from sweeps.engine.statistics.comparisons import holm
from sweeps.engine.statistics.intervals import difference, pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes

POINTS, FINALISTS, EPISODES, ASKED = 20, 3, 500, 20
SPREAD, LOOK = 0.005, 0.0035
"""Standard deviations of a training's accuracy over seeds, and of what a look adds to it."""
GAINS = (0.0, 0.01, 0.02)


def called_better(gain: float, seeds: tuple[int, ...], rng: np.random.Generator) -> bool:
    """Whether the finals call a point better than the first, which is the paper's setting."""
    skill = 0.6 + SPREAD * rng.normal(size=(POINTS, max(seeds) + 1))
    skill[1] += gain
    looks = skill[1:, 0] + LOOK * rng.normal(size=POINTS - 1)
    finalists = [0, *(1 + np.argsort(-looks)[:FINALISTS])]
    hard = rng.normal(0, 0.08, EPISODES)
    rows = [
        Outcomes(rng.binomial(ASKED, np.clip(skill[point, list(seeds), None] + hard, 0, 1)) / ASKED)
        for point in finalists
    ]
    spread = pooled_spread(rows)
    found = [difference(row, rows[0], spread) for row in rows[1:]]
    adjusted = holm([own.p() for own in found])
    best = int(np.argmax([own.value for own in found]))
    return found[best].value > 0 and adjusted[best] < 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=2000)
    searches = parser.parse_args().searches
    heads = " | ".join(f"{100 * gain:.0f}-point lead" if gain else "all equal" for gain in GAINS)
    print(f"| seeds of the finals | {heads} |\n| :-- |{' --: |' * len(GAINS)}")
    for seeds in ((0, 1, 2), (1, 2, 3)):
        rng = generator(0, f"finals {seeds}")
        shares = [np.mean([called_better(gain, seeds, rng) for _ in range(searches)]) for gain in GAINS]
        told = (f"{100 * own:.1f} ± {100 * np.sqrt(own * (1 - own) / searches):.1f} %" for own in shares)
        print(f"| {', '.join(map(str, seeds))} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
