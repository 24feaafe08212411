"""Resampling of seeds and episodes, the seeds of every row for themselves, the episodes for all rows together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fsar_core.seeds import generator
from sweeps.engine.statistics.outcomes import Outcomes, check_same_episodes

_DRAWS_AT_ONCE = 1 << 16
"""Few enough for their counts to stay in the processor's cache, which halves the time."""


def resampled_means(rows: Sequence[Outcomes], resamples: int = 2000, seed: int = 0) -> NDArray[np.float64]:
    """(resamples, rows) mean accuracies. The same arguments give the same numbers."""
    check_same_episodes(rows)
    draws = generator(seed, "bootstrap")
    lines = np.concatenate([row.accuracies for row in rows])
    by_line = _resampled_episodes(lines, resamples, draws)
    parts = np.split(by_line, np.cumsum([row.seeds for row in rows])[:-1], axis=1)
    means: list[NDArray[np.float64]] = []
    for row, part in zip(rows, parts, strict=True):
        chosen = draws.integers(row.seeds, size=(resamples, row.seeds))
        means.append(np.take_along_axis(part, chosen, 1).mean(1))
    return np.stack(means, 1)


def bootstrap_difference(
    ours: Outcomes, theirs: Outcomes, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of ``ours`` - ``theirs``, which assumes no distribution: a check of ``difference``.

    Too short below ten seeds a row where seeds matter as much as episodes (``benchmarks/intervals.md``; so is BCa):
    resampling three seeds shows two thirds of their variance, and no t quantile makes up for not knowing it. With one
    seed it covers episodes only.
    """
    means = resampled_means((ours, theirs), resamples, seed)
    low, high = np.quantile(means[:, 0] - means[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_episodes(lines: NDArray[np.float64], resamples: int, draws: np.random.Generator) -> NDArray[np.float64]:
    """(resamples, L) means of (L, E) lines over drawn episodes, by how often each was drawn: no line is copied."""
    episodes = lines.shape[1]
    means = np.empty((resamples, len(lines)))
    at_once = max(1, _DRAWS_AT_ONCE // episodes)
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        places = draws.integers(episodes, size=(size, episodes), dtype=np.int32) + episodes * np.arange(size)[:, None]
        counts = np.bincount(places.ravel(), minlength=size * episodes).reshape(size, episodes)
        means[start : start + size] = counts @ lines.T / episodes
    return means
