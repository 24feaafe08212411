"""The intervals that were measured beside those of the project."""

import math

import numpy as np
from scipy import special

from sweeps.engine.statistics.bootstrap import resampled_means
from sweeps.engine.statistics.intervals import accuracy, difference
from sweeps.engine.statistics.outcomes import Outcomes


def over_episodes(ours: Outcomes, theirs: Outcomes) -> tuple[float, float]:
    """The paired interval over episodes of the means over seeds."""
    apart = ours.accuracies.mean(0) - theirs.accuracies.mean(0)
    half = 1.96 * float(apart.std(ddof=1)) / math.sqrt(len(apart))
    return float(apart.mean()) - half, float(apart.mean()) + half


def one_t(ours: Outcomes, theirs: Outcomes) -> tuple[float, float]:
    """One t quantile for the sum of both variances, with Satterthwaite's degrees of freedom."""
    found = difference(ours, theirs)
    if found.seeds_se is None:
        return found.interval()
    of_seeds, of_episodes = found.seeds_se**2, found.episodes_se**2
    total = of_seeds + of_episodes
    df = total**2 / (of_seeds**2 / found.seeds_df + of_episodes**2 / (ours.episodes - 1))
    half = float(special.stdtrit(df, 0.975)) * math.sqrt(total)
    return found.value - half, found.value + half


def bootstraps(ours: Outcomes, theirs: Outcomes, resamples: int, seed: int) -> dict[str, tuple[float, float]]:
    """Percentile and BCa (Efron 1987; acceleration from the influence of every seed and episode)."""
    means = resampled_means((ours, theirs), resamples, seed)
    drawn, value = means[:, 0] - means[:, 1], ours.mean - theirs.mean
    by_episode = ours.accuracies.mean(0) - theirs.accuracies.mean(0)
    influence = np.concatenate(
        [
            (ours.by_seed - ours.mean) / ours.seeds,
            (theirs.mean - theirs.by_seed) / theirs.seeds,
            (by_episode - value) / len(by_episode),
        ]
    )
    acceleration = (influence**3).sum() / (6 * ((influence**2).sum()) ** 1.5)
    bias = special.ndtri(np.clip((drawn < value).mean(), 1e-6, 1 - 1e-6))
    shifted = bias + special.ndtri([0.025, 0.975])
    tails = special.ndtr(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(drawn, [0.025, 0.975])
    bca_low, bca_high = np.quantile(drawn, tails)
    return {"percentile": (float(low), float(high)), "BCa": (float(bca_low), float(bca_high))}


def resampled_tau(rows: list[Outcomes], printed: list[float], seed: int) -> tuple[float, float]:
    """Percentile interval of Kendall's tau over resamples; no ties in ``printed``."""
    means = resampled_means(rows, 1000, seed)
    first, second = np.triu_indices(len(rows), 1)
    theirs = np.asarray(printed)
    taus = (np.sign(means[:, first] - means[:, second]) * np.sign(theirs[first] - theirs[second])).mean(1)
    low, high = np.quantile(taus, [0.025, 0.975])
    return float(low), float(high)


def accuracy_intervals(row: Outcomes) -> dict[str, float]:
    """Half widths by name."""
    found = accuracy(row)
    seeds = {} if found.seeds95 is None else {"t over seeds": found.seeds95}
    return {"±, literature": found.literature95, **seeds, "both": found.estimate.half_width()}
