"""Printed values beside ours: verdicts, orders, and what is said where nothing can be compared."""

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from search_spaces.table import Table
from sweeps.engine.comparison import Comparison, compare
from sweeps.engine.comparison_views import csv_text, markdown, terminal
from sweeps.engine.formats import markdown as table_markdown
from sweeps.engine.formats import terminal as table_terminal
from sweeps.engine.latex import latex
from sweeps.engine.page import html_page
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult
from tests.sweeps.made_records import small_table, write_outcomes
from tests.sweeps.made_tables import HOSTILE, complete, results, unfinished, wide

ROWS = ("first", "second", "third")


def shown(comparison: Comparison, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(terminal(comparison, width))
    return console.export_text()


def measured(store: Store, levels: tuple[float, ...], printed_on: str = "motionshapes") -> Comparison:
    """Three rows, printed at 41, 41.5 and 42 %, measured close to these levels by two seeds that agree."""
    table = wide(ROWS, 1, printed_on=(printed_on,))
    for own, level in zip(table.cells, levels, strict=True):
        for seed in (0, 1):
            low = np.full(400, int(10 * level))
            low[: round(400 * (10 * level - int(10 * level)))] += 1
            write_outcomes(store, own.run.with_seed(seed), own.evaluation, low)
    return compare(results(table, store))


def test_cells_are_reproduced_worse_or_better(store: Store) -> None:
    found = measured(store, (0.41, 0.30, 0.60))
    assert [cell.standing for cell in found.cells] == ["reproduced", "worse", "better"]
    assert found.counts() == {"reproduced": 1, "worse": 1, "better": 1}
    assert found.cells[1].reproduction is not None
    assert found.cells[1].reproduction.difference.value == pytest.approx(0.30 - 0.415)
    assert found.exit_code() == "drift"


def test_all_reproduced_is_done_and_in_the_printed_order(store: Store) -> None:
    found = measured(store, (0.41, 0.415, 0.42))
    assert found.exit_code() == "done"
    (order,) = found.orders
    assert (order.rows, order.agreement.tau, order.comparable) == (3, 1.0, True)


def test_one_seed_is_undecided_and_the_text_says_what_to_do(store: Store) -> None:
    found = compare(complete(wide(ROWS, 1), store, (0,)))
    assert found.counts() == {"undecided": 3}
    assert found.exit_code() == "undecided"
    assert "train a second one" in shown(found, 200)


@pytest.mark.parametrize(
    ("make", "code"), [(unfinished, "failed"), (results, "undecided")], ids=["a cell failed", "nothing done"]
)
def test_unfinished_cells_are_shown_with_their_state(
    store: Store, make: Callable[[Table, Store], TableResult], code: str
) -> None:
    found = compare(make(wide(ROWS, 1), store))
    assert found.exit_code() == code
    assert "pending 0/2 seeds" in shown(found)
    assert ("failed, 0/2 seeds" in shown(found)) == (code == "failed")
    assert found.cells[1].standing == "pending"


def test_a_failed_cell_is_worse_than_drift(store: Store) -> None:
    found = compare(unfinished(wide(("a", "b", *ROWS), 1), store), margin=0.0001)
    assert "failed" in found.counts()
    assert found.exit_code() == "failed"


def test_values_of_other_data_have_no_verdict_but_an_order_for_each_data_set(store: Store) -> None:
    found = compare(complete(wide(ROWS, 2, printed_on=("HMDB51", "UCF101")), store))
    assert found.on_other_data()
    assert found.counts() == {"other data": 6}
    assert found.exit_code() == "done"
    assert [(order.dataset, order.comparable) for order in found.orders] == [("HMDB51", False), ("UCF101", False)] * 2
    text = " ".join(shown(found).split())
    assert "The order of the rows is what can be compared" in text
    assert "verdict" not in text.replace("no verdict", "")
    assert "41.00 HMDB51 †" in text


def test_the_order_of_rows_is_counted_pair_by_pair(store: Store) -> None:
    (order,) = measured(store, (0.60, 0.415, 0.30), printed_on="HMDB51").orders
    assert (order.agreement.tau, order.agreement.contradict) == (-1.0, 3)


def test_rows_on_other_episodes_are_not_ordered_with_the_rest(store: Store) -> None:
    table = wide(ROWS, 1)
    fewer = table.cells[0].evaluation.model_copy(update={"episodes": 300})
    cells = (table.cells[0].model_copy(update={"evaluation": fewer}), *table.cells[1:])
    found = compare(complete(table.model_copy(update={"cells": cells}), store))
    assert [order.rows for order in found.orders] == [2]


def test_a_row_without_a_printed_value_says_so(store: Store) -> None:
    found = compare(complete(small_table(printed_on="motionshapes"), store))
    assert [cell.standing for cell in found.cells if not cell.result.cell.published] == ["not printed"] * 2
    assert found.orders == ()


@pytest.mark.parametrize("width", [100, 150])
def test_it_fits_the_terminal_whatever_the_names(store: Store, width: int) -> None:
    text = shown(compare(complete(wide(HOSTILE, 2), store)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…\n" not in text


def test_names_cannot_break_markdown(store: Store) -> None:
    lines = markdown(compare(complete(wide(HOSTILE, 1), store))).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(HOSTILE)
    assert {line.replace(r"\|", "").count("|") for line in rows} == {6}


def test_csv_has_a_line_per_cell_for_programs(store: Store) -> None:
    found = measured(store, (0.41, 0.30, 0.60))
    lines = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert [line["standing"] for line in lines] == ["reproduced", "worse", "better"]
    assert float(lines[1]["difference"]) == pytest.approx(0.30 - 0.415)
    assert lines[1]["compared_with_percent"] == "41.5"


def noted(table: Table) -> Table:
    return table.model_copy(update={"notes": ("Row x cannot be run: no weights.", "Doubt about the printed 41.2.")})


def test_notes_of_a_table_stand_below_it_in_every_format(store: Store) -> None:
    result = complete(noted(small_table()), store)
    console = Console(width=150, file=io.StringIO(), record=True)
    console.print(table_terminal(result, 150))
    texts = [console.export_text(), table_markdown(result), html_page(result), latex(result), shown(compare(result))]
    for text in texts:
        assert "protonet" in text
        for note in result.table.notes:
            assert text.index(note) > text.index("protonet")
