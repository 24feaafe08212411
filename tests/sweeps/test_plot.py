"""Figures of tables."""

from collections.abc import Callable

import pytest

from search_spaces.table import Table
from sweeps.engine.plot import draw
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from tests.sweeps.made_records import PRINTS, fill, ratio_table, small_table


def results(table: Table, store: Store) -> TableResult:
    return collect(table, (0, 1), store, PRINTS)


@pytest.mark.parametrize("table", [ratio_table(), small_table()], ids=["lines", "bars"])
def test_figures_are_files_of_their_kind_and_repeatable(store: Store, table: Table) -> None:
    fill(store, table)
    result = results(table, store)
    assert draw(result, "png").startswith(b"\x89PNG")
    assert draw(result, "pdf").startswith(b"%PDF")
    assert draw(result, "png") == draw(result, "png")
    assert draw(result, "pdf") == draw(result, "pdf")


@pytest.mark.parametrize("make", [ratio_table, small_table], ids=["lines", "bars"])
def test_figures_show_printed_values_of_the_same_data_only(store: Store, make: Callable[..., Table]) -> None:
    other, same = make(printed_on="Kinetics-100"), make(printed_on="motionshapes")
    fill(store, other)
    bare = other.model_copy(update={"cells": tuple(c.model_copy(update={"published": None}) for c in other.cells)})
    pictures = [draw(results(table, store), "png") for table in (bare, other, same)]
    assert pictures[0] == pictures[1]
    assert pictures[1] != pictures[2]


def test_long_row_names_leave_room_for_the_bars(store: Store) -> None:
    first, *others = small_table().cells
    table = small_table(reference=None).model_copy(
        update={"cells": (first.model_copy(update={"row": "a very long name " * 20}), *others)}
    )
    fill(store, table)
    assert draw(results(table, store), "png")
