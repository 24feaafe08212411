"""Intervals, verdicts and orders against closed forms, slow loops and scipy's own. Simulated coverage: benchmarks."""

import math
import statistics

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sweeps.engine.statistics.agreement import rank_agreement
from sweeps.engine.statistics.bootstrap import bootstrap_difference, resampled_means
from sweeps.engine.statistics.comparisons import holm
from sweeps.engine.statistics.intervals import Estimate, SeedSpread, accuracy, difference, paired_spread, pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes
from sweeps.engine.statistics.reproduction import reproduction

ASKED = 5


def counts(seeds: int, episodes: int, right: float, seed: int = 0, spread: float = 0.0) -> NDArray[np.integer]:
    """(seeds, episodes) right answers; hard episodes are hard for every seed, and for every row of this ``seed``."""
    draws = np.random.default_rng(seed)
    hard = draws.uniform(-0.2, 0.2, episodes)
    own = np.random.default_rng([seed, seeds, round(1000 * right)])
    p = right + spread * own.standard_normal((seeds, 1)) + hard
    return own.binomial(ASKED, np.clip(p, 0, 1))


def row(seeds: int, episodes: int = 300, right: float = 0.6, seed: int = 0, spread: float = 0.02) -> Outcomes:
    return Outcomes.from_counts(list(counts(seeds, episodes, right, seed, spread)), ASKED)


def even(*means: float) -> Outcomes:
    """Seeds with exactly these means, over episodes that all end alike."""
    return Outcomes(np.repeat(np.array(means)[:, None], 4, axis=1))


def test_outcomes_are_the_counts_of_the_records_over_the_queries() -> None:
    found = Outcomes.from_counts([np.array([5, 0, 3], np.uint16), np.array([4, 1, 2], np.uint16)], ASKED)
    assert found.accuracies.tolist() == [[1.0, 0.0, 0.6], [0.8, 0.2, 0.4]]
    assert (found.seeds, found.episodes) == (2, 3)
    assert found.mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("correct", "asked", "message"),
    [
        ([], 5, "at least one seed"),
        ([np.array([1, 2]), np.array([1])], 5, r"\[2, 1\]"),
        ([np.array([1, 2])], 0, "queries: 0"),
        ([np.array([1, 6])], 5, "divide counts"),
        ([np.array([], np.uint16)], 5, "at least one of each"),
    ],
)
def test_arrays_that_are_no_outcomes_are_refused(correct: list[np.ndarray], asked: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outcomes.from_counts(correct, asked)


def test_one_seed_has_the_interval_of_the_literature_and_covers_episodes_only() -> None:
    values = row(1).accuracies[0].tolist()
    found = accuracy(row(1))
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    assert found.literature95 == pytest.approx(half)
    assert found.estimate.half_width() == pytest.approx(half, rel=1e-4)  # 1.96 is rounded
    assert found.estimate.covers == "episodes"
    assert found.seeds95 is None


def test_the_interval_over_seeds_is_scipys_t_interval() -> None:
    own = row(4)
    low, high = stats.t.interval(0.95, 3, own.mean, stats.sem(own.by_seed))
    found = accuracy(own)
    assert found.seeds95 == pytest.approx((high - low) / 2)
    assert found.estimate.value == pytest.approx((high + low) / 2)
    assert found.estimate.covers == "seeds and episodes"


def test_the_interval_over_both_adds_what_seeds_share_on_the_episodes() -> None:
    own = row(3)
    pairs = [(0, 1), (0, 2), (1, 2)]
    shared = [statistics.covariance(own.accuracies[a].tolist(), own.accuracies[b].tolist()) for a, b in pairs]
    seeds = stats.t.ppf(0.975, 2) * statistics.stdev(own.by_seed.tolist()) / math.sqrt(3)
    episodes = stats.norm.ppf(0.975) * math.sqrt(sum(shared) / 3 / own.episodes)
    assert accuracy(own).estimate.half_width() == pytest.approx(math.sqrt(seeds**2 + episodes**2))


def test_without_a_spread_over_seeds_both_is_the_interval_over_episodes() -> None:
    once = row(1).accuracies
    found = accuracy(Outcomes(np.concatenate([once, once, once])))
    assert found.estimate.half_width() == pytest.approx(found.literature95, rel=1e-4)
    assert found.seeds95 == 0


def test_the_difference_of_single_seeds_is_paired_by_episode() -> None:
    a, b = row(1), row(1, right=0.7)
    apart = [x - y for x, y in zip(a.accuracies[0].tolist(), b.accuracies[0].tolist(), strict=True)]
    found = difference(a, b)
    assert found.value == pytest.approx(statistics.mean(apart))
    assert found.episodes_se == pytest.approx(statistics.stdev(apart) / math.sqrt(len(apart)))
    assert found.covers == "episodes"
    assert found.p() == pytest.approx(2 * stats.norm.sf(abs(found.value) / found.episodes_se), rel=1e-4)


def test_the_spread_of_a_difference_is_pooled_over_both_rows() -> None:
    a, b = even(0.5, 0.54), even(0.40, 0.42, 0.47)
    expected = stats.ttest_ind(a.by_seed, b.by_seed)  # the same without a part from episodes
    found = difference(a, b)
    assert found.p() == pytest.approx(expected[1])
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_paired_seeds_are_the_paired_t_test() -> None:
    a, b = even(0.5, 0.54, 0.51), even(0.40, 0.42, 0.43)
    expected = stats.ttest_rel(a.by_seed, b.by_seed)
    assert difference(a, b, paired=True).p() == pytest.approx(expected[1])
    with pytest.raises(ValueError, match=r"\[3, 2\] seeds"):
        difference(a, even(0.4, 0.5), paired=True)


def test_the_paired_spread_of_a_table_is_what_is_left_without_rows_and_seeds() -> None:
    means = [[0.5, 0.54, 0.51], [0.4, 0.42, 0.43], [0.6, 0.66, 0.61], [0.55, 0.56, 0.58]]
    found = paired_spread([even(*own) for own in means])
    rows = [sum(own) / 3 for own in means]
    seeds = [sum(own[s] for own in means) / 4 for s in range(3)]
    rest = [means[r][s] - rows[r] - seeds[s] + sum(rows) / 4 for r in range(4) for s in range(3)]
    assert found is not None
    assert (found.sd, found.df) == (pytest.approx(math.sqrt(sum(x * x for x in rest) / 6)), 6)
    assert paired_spread([even(0.5), even(0.6)]) is paired_spread([even(0.5, 0.6)]) is None


def test_rows_that_share_their_seeds_are_told_apart_only_by_pairing() -> None:
    first = row(4, spread=0.05)
    second = Outcomes(np.clip(first.accuracies - 0.01 + 0.002 * np.arange(4)[:, None], 0, 1))
    assert difference(first, second).p() > 0.5
    assert difference(first, second, paired=True).p() < 0.05
    assert difference(first, first, paired=True).interval() == (0, 0)


@pytest.mark.parametrize("paired", [False, True])
def test_what_episodes_add_to_a_difference_is_the_loop_over_pairs_of_seeds(paired: bool) -> None:
    a, b = row(3), row(3, right=0.7, seed=1)  # not hard for the same reasons

    def between(x: Outcomes, y: Outcomes) -> float:
        found = [
            statistics.covariance(x.accuracies[s].tolist(), y.accuracies[t].tolist())
            for s in range(3)
            for t in range(3)
            if s != t or (x is not y and not paired)
        ]
        return statistics.mean(found)

    variance = between(a, a) + between(b, b) - 2 * between(a, b)
    assert variance > 0
    assert difference(a, b, paired=paired).episodes_se == pytest.approx(math.sqrt(variance / 300))


def test_p_is_the_level_at_which_the_interval_ends_at_zero() -> None:
    found = difference(row(3), row(3, right=0.63))
    low, high = found.interval(1 - found.p())
    assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)
    assert 1e-6 < found.p() < 1


def test_a_row_of_one_seed_takes_its_spread_from_the_rest_of_the_table() -> None:
    table = [row(3), row(2, right=0.65), row(1, right=0.7)]
    spread = pooled_spread(table)
    assert spread is not None
    squares = [sum((table[i].by_seed - table[i].mean) ** 2) for i in (0, 1)]
    assert (spread.sd, spread.df) == (pytest.approx(math.sqrt(sum(squares) / 3)), 3)
    assert difference(table[2], table[0], spread).covers == "seeds and episodes"
    assert difference(table[2], table[0], spread).half_width() > difference(table[2], row(1)).half_width()
    assert accuracy(table[2], spread).estimate.half_width() > 2 * accuracy(table[2]).estimate.half_width()
    assert accuracy(table[2], spread).seeds95 is None
    assert pooled_spread([row(1), row(1, right=0.7)]) is None


def test_degenerate_outcomes_have_the_intervals_that_they_deserve() -> None:
    perfect, wrong = even(1.0), even(0.0)
    assert accuracy(perfect).estimate.interval() == (1.0, 1.0)
    assert difference(perfect, perfect).p() == 1
    assert difference(perfect, wrong).p() <= 1e-12
    same = difference(row(3), row(3))
    assert (same.value, same.p()) == (0, 1)
    once = Outcomes(np.array([[0.4], [0.6]]))
    assert accuracy(once).literature95 == accuracy(once).estimate.half_width() == math.inf
    assert difference(once, once).p() == difference(once, Outcomes(np.array([[1.0]]))).p() == 1


def test_rows_on_other_episodes_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"\[300, 200\]"):
        difference(row(2), row(2, episodes=200))


def test_holm_is_the_rule_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.5]) == (1.0, 1.0)
    assert holm([]) == ()
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.5, math.nan])


def test_resampling_is_repeatable_and_agrees_with_the_closed_form_where_seeds_are_many() -> None:
    a, b = row(30, 400), row(25, 400, right=0.65)
    assert bootstrap_difference(a, b) == bootstrap_difference(a, b)
    assert bootstrap_difference(a, b) == pytest.approx(difference(a, b).interval(), abs=0.003)


def test_rows_share_the_resampled_episodes_but_not_the_seeds() -> None:
    own = row(1)
    shared = resampled_means([own, Outcomes(1 - own.accuracies)], 200)
    assert shared.sum(1) == pytest.approx(np.ones(200))
    seeds = even(0.2, 0.4)
    drawn = resampled_means([seeds, seeds], 200)
    assert set(np.round(drawn.ravel(), 6)) == {0.2, 0.3, 0.4}
    assert 50 < (drawn[:, 0] != drawn[:, 1]).sum() < 175


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [(0.6, "reproduced"), (0.6055, "reproduced"), (0.58, "better"), (0.63, "worse"), (0.611, "undecided")],
)
def test_the_verdict_is_where_the_90_percent_interval_lies(printed: float, verdict: str) -> None:
    own = even(0.598, 0.6, 0.602)
    found = reproduction(own, printed)
    low, high = stats.t.interval(0.9, 2, 0.6 - printed, stats.sem(own.by_seed))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.verdict == verdict
    assert (found.reason == "") == (verdict != "undecided")


def test_an_undecided_verdict_names_the_fewest_seeds_that_probably_decide() -> None:
    found = reproduction(even(0.59, 0.6, 0.61), 0.6)

    def reach(seeds: int) -> float:
        return float((stats.t.ppf(0.95, seeds - 1) + stats.norm.ppf(0.8)) * 0.01 / math.sqrt(seeds))

    expected = next(seeds for seeds in range(4, 21) if reach(seeds) < 0.01)
    assert (found.verdict, found.seeds_needed) == ("undecided", expected)
    assert f"about {expected} seeds" in found.reason
    assert "differ by 1.0 points" in found.reason


def test_a_verdict_that_seeds_cannot_bring_says_so() -> None:
    unknown = reproduction(row(1), 0.2)
    assert (unknown.verdict, unknown.seeds_needed) == ("undecided", 2)
    assert "unknown" in unknown.reason
    assert reproduction(row(1), 0.2, spread=SeedSpread(sd=0.01, df=math.inf)).verdict == "better"
    near = reproduction(even(0.59, 0.61), 0.6101)
    assert (near.seeds_needed, near.reason[:22]) == (None, "more than 20 seeds nee")
    assert "−1.0 points" in near.reason
    few = reproduction(row(2, episodes=50), 0.6)
    assert few.seeds_needed is None
    assert "more episodes" in few.reason
    assert reproduction(Outcomes(np.array([[0.4], [0.6]])), 0.9).verdict == "undecided"


def test_printed_per_cents_are_refused() -> None:
    with pytest.raises(ValueError, match=r"printed is 57.6, margin is 0; divide"):
        reproduction(row(2), 57.6, margin=0)


def test_the_order_is_scipys_tau_with_pairs_that_are_sure_or_not() -> None:
    rows = [even(0.50, 0.501), even(0.60, 0.601), even(0.55, 0.551), even(0.6015, 0.6025)]
    printed = [0.5, 0.6, 0.7, 0.7]
    found = rank_agreement(rows, printed)
    assert found.tau == pytest.approx(stats.kendalltau([r.mean for r in rows], printed, variant="b")[0])
    assert (found.agree, found.contradict, found.undecided, found.tied) == (3, 1, 1, 1)
    assert (found.low, found.high) == pytest.approx((1 / math.sqrt(30), 3 / math.sqrt(30)))


def test_equal_rows_have_no_order_and_an_order_needs_printed_values() -> None:
    same = rank_agreement([row(2), row(2), row(2)], [0.5, 0.6, 0.7])
    assert (same.tau, same.low, same.high, same.undecided) == (0, -1, 1, 3)
    for printed in ([0.5], [0.5, 0.5]):
        with pytest.raises(ValueError, match="at least two different ones"):
            rank_agreement([row(2), row(2)], printed)


def test_a_known_spread_has_the_normal_quantile() -> None:
    found = Estimate(value=0.02, seeds_se=0.01, seeds_df=math.inf, episodes_se=0.0)
    assert found.half_width() == pytest.approx(0.01 * stats.norm.ppf(0.975))
    assert found.p() == pytest.approx(2 * stats.norm.sf(2))
