"""Differences of a table's rows to its reference: what is paired, and what their intervals cover."""

import numpy as np
import pytest
from scipy import special

from sweeps.engine.protocol import protocol
from sweeps.engine.records import Store
from tests.sweeps.made_outcomes import SEEDS, draws, results, table_by_hand
from tests.sweeps.made_records import (
    fill,
    small_table,
    write_outcomes,
)


def test_a_difference_is_paired_by_episode_and_its_interval_covers_the_spread_over_seeds(store: Store) -> None:
    result, outcomes = table_by_hand(store)
    found = result.difference(result.cells[2])
    assert found is not None
    rows = np.array(outcomes) / 10
    assert found.mean == pytest.approx(rows[2].mean() - rows[0].mean())
    of_seeds = rows.mean(2)
    spread = ((of_seeds - of_seeds.mean(1, keepdims=True)) ** 2).sum() / 3  # three rows, a degree of freedom each
    means, cov = [np.cov(own)[0, 1] for own in (rows[0], rows[2])], np.cov(np.concatenate([rows[0], rows[2]]))
    shared = max(0.0, sum(means) - 2 * cov[:2, 2:].mean()) / 400
    t, z = 3.182446, 1.959964
    assert found.ci95 == pytest.approx((t**2 * spread + z**2 * shared) ** 0.5, rel=1e-5)
    assert found.covers == "seeds and episodes"
    assert result.difference(result.cells[0]) is None
    assert "covers other seeds and episodes" in "".join(protocol(result))


def test_p_values_are_corrected_for_all_differences_of_a_column(store: Store) -> None:
    table = small_table()
    for own, seed in zip(table.cells, (3, 4, 5), strict=True):
        write_outcomes(store, own.run, own.evaluation, draws(seed))
    result = results(table, store, (0,))
    rows = [draws(seed) / 10 for seed in (3, 4, 5)]
    gaps = [own - rows[0] for own in rows[1:]]
    single = [2 * special.ndtr(-abs(g.mean()) / (g.std(ddof=1) / 20)) for g in gaps]
    smaller, larger = np.argsort(single)
    found = [own.p for cell in result.cells[1:] if (own := result.difference(cell)) is not None]
    assert found[smaller] == pytest.approx(min(1.0, 2 * single[smaller]), rel=1e-6)
    assert found[larger] == pytest.approx(max(found[smaller], single[larger]), rel=1e-6)


def test_equal_outcomes_differ_by_zero_with_no_doubt(store: Store) -> None:
    table = small_table()
    for own in table.cells[:2]:
        write_outcomes(store, own.run, own.evaluation, draws(3))
    result = results(table, store, (0,))
    assert result.difference(result.cells[1]) == (0.0, 0.0, "episodes", 1.0)
    assert "says nothing about other seeds" in "".join(protocol(result))


def test_a_difference_uses_only_seeds_that_both_rows_have(store: Store) -> None:
    table = small_table()
    reference, other = table.cells[:2]
    write_outcomes(store, reference.run, reference.evaluation, draws(1))
    for seed in SEEDS:
        write_outcomes(store, other.run.with_seed(seed), other.evaluation, draws(5 + seed))
    result = results(table, store)
    found = result.difference(result.cells[1])
    assert found is not None
    assert found.mean == pytest.approx(np.mean(draws(5) - draws(1)) / 10)


def test_other_episodes_are_not_paired(store: Store) -> None:
    first, second, *others = small_table().cells
    moved = second.model_copy(update={"evaluation": second.evaluation.model_copy(update={"seed": 9})})
    table = small_table().model_copy(update={"cells": (first, moved, *others)})
    fill(store, table)
    result = results(table, store)
    assert result.difference(result.cells[1]) is None
    assert result.difference(result.cells[2]) is not None
