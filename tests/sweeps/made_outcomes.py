"""Records of the small table with outcomes that a test knows."""

import numpy as np

from search_spaces.table import Table
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from tests.sweeps.made_records import (
    PRINTS,
    small_table,
    write_outcomes,
)

SEEDS = (0, 1)


def results(table: Table, store: Store, seeds: tuple[int, ...] = SEEDS) -> TableResult:
    return collect(table, seeds, store, PRINTS)


def draws(seed: int, episodes: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 11, episodes)


def table_by_hand(store: Store) -> tuple[TableResult, list[list[np.ndarray]]]:
    """The small table with known outcomes, [row][seed]."""
    table = small_table()
    outcomes = [[draws(10 * i + seed) for seed in SEEDS] for i in range(3)]
    for i, own in enumerate(table.cells):
        for seed in SEEDS:
            write_outcomes(store, own.run.with_seed(seed), own.evaluation, outcomes[i][seed])
    return results(table, store), outcomes
