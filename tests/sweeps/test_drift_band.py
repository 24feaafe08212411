"""The band of honest reruns against slow loops, and its alarms in simulated series with a known truth."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from sweeps.engine.drift_band import FALSE_ALARMS, Band, Quantity, Sample, bands
from sweeps.engine.drift_spread import moderated
from sweeps.engine.statistics.intervals import SeedSpread

RESOLUTION = 1e-4


def sample(rerun: int, means: Sequence[float] | NDArray[np.float64]) -> Sample:
    """With seeds of its own."""
    return Sample(tuple(range(10 * rerun, 10 * rerun + len(means))), np.array(means))


def quantity(earlier: Sequence[Sequence[float]], new: Sequence[float], training: str | None = None) -> Quantity:
    samples = [sample(i, means) for i, means in enumerate(earlier)]
    return Quantity(tuple(samples), sample(len(samples), new), training, RESOLUTION)


def test_a_band_holds_both_predictions_each_with_scipys_t_quantile() -> None:
    earlier = [[0.50, 0.53], [0.55, 0.51], [0.49, 0.52], [0.56, 0.54]]
    (found,) = bands([quantity(earlier, [0.5, 0.3])], 0.02)
    seeds, reruns = np.ravel(earlier), np.mean(earlier, axis=1)
    by_seeds = stats.t.ppf(0.99, 7) * stats.tstd(seeds) * math.sqrt(1 / 2 + 1 / 8)
    by_reruns = stats.t.ppf(0.99, 3) * stats.tstd(reruns) * math.sqrt(1 + 1 / 4)
    assert found.high - found.centre == pytest.approx(max(by_seeds, by_reruns))
    assert (found.low + found.high) / 2 == pytest.approx(found.centre) == pytest.approx(seeds.mean())
    assert found.left == "below"
    apart = [abs(0.40 - seeds.mean()) / own for own in (by_seeds, by_reruns)]
    expected = 2 * stats.t.sf(apart[0] * stats.t.ppf(0.99, 7), 7), 2 * stats.t.sf(apart[1] * stats.t.ppf(0.99, 3), 3)
    assert found.p == pytest.approx(max(expected), rel=1e-6)


def test_many_quantities_share_the_false_alarms() -> None:
    one = quantity([[0.50, 0.53], [0.55, 0.51], [0.49, 0.52]], [0.5, 0.5])
    alone, among = bands([one], 0.001)[0], bands([one] * 10, 0.01)[0]
    assert (among.low, among.high) == pytest.approx((alone.low, alone.high))


def test_a_seed_that_comes_again_counts_once() -> None:
    seeds = (0, 1, 2)
    means = np.array([[0.50, 0.55, 0.60], [0.52, 0.55, 0.60], [0.51, 0.55, 0.60]])
    new = Sample(seeds, np.array([0.51, 0.55, 0.60]))
    (found,) = bands([Quantity(tuple(Sample(seeds, own) for own in means), new, None, RESOLUTION)])
    spread = stats.tstd([0.51, 0.55, 0.60])
    assert found.by_seeds.seeds_df == 2
    assert found.by_seeds.seeds_se == pytest.approx(spread * math.sqrt(1 / 3 + 1 / 3))
    assert found.left is None


def test_equal_numbers_still_leave_room_for_one_query() -> None:
    (found,) = bands([quantity([[0.5, 0.5]] * 3, [0.5, 0.5 - RESOLUTION])])
    assert found.left is None
    assert found.low < 0.5 < found.high


def test_spreads_that_differ_as_chance_has_it_are_one() -> None:
    draws = np.random.default_rng(0)
    spreads = [SeedSpread(sd=0.01 * math.sqrt(draws.chisquare(6) / 6), df=6) for _ in range(4)]
    found = moderated(spreads, ["a", "b", "c", "d"])
    pooled = math.sqrt(sum(own.sd**2 for own in spreads) / 4)
    assert [(own.sd, own.df) for own in found] == [(pytest.approx(pooled), 24)] * 4


def test_spreads_that_truly_differ_are_drawn_as_far_as_log_variances_agree() -> None:
    sds = [0.001, 0.003, 0.01, 0.03, 0.05]
    found = moderated([SeedSpread(sd=sd, df=5) for sd in sds], list("abcde"))
    logs = [2 * math.log(sd) - special.digamma(2.5) + math.log(2.5) for sd in sds]
    beyond = np.var(logs, ddof=1) - special.polygamma(1, 2.5)
    grid = np.geomspace(0.01, 100, 300_001)
    d0 = 2 * grid[np.argmin(abs(special.polygamma(1, grid) - beyond))]
    s0 = math.exp(np.mean(logs) + special.digamma(d0 / 2) - math.log(d0 / 2))
    expected = [math.sqrt((d0 * s0 + 5 * sd**2) / (d0 + 5)) for sd in sds]
    assert [own.sd for own in found] == pytest.approx(expected, rel=1e-4)
    assert [own.df for own in found] == pytest.approx([d0 + 5] * 5, rel=1e-4)


def test_cells_of_one_training_tell_the_spread_once() -> None:
    spreads = [SeedSpread(sd=sd, df=3) for sd in (0.01, 0.012, 0.011, 0.013)]
    assert moderated(spreads, ["same"] * 4) == tuple(spreads)  # too few trainings to draw towards
    assert {own.df for own in moderated(spreads, ["a", "b", "c", "c"])} == {9}


def honest(
    draws: np.random.Generator, cells: int, reruns: int, seeds: int, rerun_sd: float = 0.0
) -> NDArray[np.float64]:
    """(reruns, cells, seeds): a spread of one point over seeds, half of it common to all cells of a seed."""
    lucky = draws.standard_normal((reruns, 1, seeds))
    own = math.sqrt(0.5) * lucky + math.sqrt(0.5) * draws.standard_normal((reruns, cells, seeds))
    return 0.55 + 0.01 * own + rerun_sd * draws.standard_normal((reruns, cells, 1))


def found_in(series: NDArray[np.float64], rerun: int) -> tuple[Band, ...]:
    """By the first reruns of the series."""
    cells = range(series.shape[1])
    return bands([quantity(series[:rerun, c].tolist(), series[rerun, c].tolist(), str(c)) for c in cells])


def test_honest_reruns_leave_the_band_as_rarely_as_stated() -> None:
    draws = np.random.default_rng(0)
    series = [honest(draws, cells=8, reruns=7, seeds=2) for _ in range(200)]
    left = [[any(band.left for band in found_in(own, rerun)) for rerun in (3, 4, 5, 6)] for own in series]
    assert np.mean(left) <= FALSE_ALARMS
    assert not np.any(np.logical_and(np.array(left)[:, :-1], np.array(left)[:, 1:]))  # two in a row


def test_what_a_rerun_adds_is_in_the_band_though_seeds_do_not_show_it() -> None:
    draws = np.random.default_rng(1)
    series = [honest(draws, cells=8, reruns=7, seeds=3, rerun_sd=0.02) for _ in range(100)]
    found = [found_in(own, 6) for own in series]
    assert np.mean([any(band.left for band in own) for own in found]) <= 0.03
    by_seeds = [any(band.by_seeds.p() < FALSE_ALARMS / len(own) for band in own) for own in found]
    assert np.mean(by_seeds) > 0.1


@pytest.mark.parametrize(("drop", "least"), [(0.02, 0.08), (0.03, 0.45), (0.04, 0.85)])
def test_a_drop_of_all_cells_is_a_regression_at_the_second_rerun(drop: float, least: float) -> None:
    draws = np.random.default_rng(2)
    alarms: list[bool] = []
    for _ in range(60):
        series = honest(draws, cells=8, reruns=8, seeds=2)
        series[6:] -= drop
        twice = [found_in(np.delete(series, 6, 0) if rerun == 7 else series, 6) for rerun in (6, 7)]
        alarms.append(any(a.left == b.left == "below" for a, b in zip(*twice, strict=True)))
    assert np.mean(alarms) >= least
