"""Tables of every shape and their results, from made-up records."""

from collections.abc import Callable, Sequence

from search_spaces.table import Axis, Published, Scatter, Setting, Table
from sweeps.engine.failures import Failure
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from tests.sweeps.made_records import PRINTS, TRAIN, cell, fill

HOSTILE = (
    "[a] & b_c",
    "*star* 100% $x$ #1",
    "\\end{tabular} {open",
    "a|b~c^d \u2208 é ø ✗ \x07 <>",
    "sampler+alignment+intra_loss+inter_loss+reconstruction",
    "“q” λ→μ … " + "very long " * 12,
)


def wide(
    rows: Sequence[str],
    columns: int,
    axis: Axis | Scatter | None = None,
    *,
    printed_on: Sequence[str] = ("motionshapes",),
    setting: Callable[[int, int], dict[str, Setting]] = lambda row, column: {},
) -> Table:
    """Every row in every column. The first row is the reference; printed values rise with the rows."""
    cells = [
        cell(row, 1, 1 + r / 100 + c).model_copy(
            update={
                "column": f"data set {c} 1-shot",
                "settings": setting(r, c),
                "published": tuple(
                    Published(percent=round(41 + 0.5 * r + 3 * i, 2), dataset=name, source="VIM, table 4")
                    for i, name in enumerate(printed_on)
                ),
            }
        )
        for r, row in enumerate(rows)
        for c in range(columns)
    ]
    return Table(name="vim/table4", title="VIM, table 4", cells=tuple(cells), axis=axis, reference=rows[0])


def with_settings(table: Table, without: int) -> Table:
    """The same, but the first cells without any setting."""
    bare = [own.model_copy(update={"settings": {}}) for own in table.cells[:without]]
    return table.model_copy(update={"cells": (*bare, *table.cells[without:])})


def results(table: Table, store: Store, seeds: tuple[int, ...] = (0, 1)) -> TableResult:
    return collect(table, seeds, store, PRINTS)


def complete(table: Table, store: Store, seeds: tuple[int, ...] = (0, 1)) -> TableResult:
    fill(store, table, seeds)
    return results(table, store, seeds)


def unfinished(table: Table, store: Store) -> TableResult:
    """The first cell failed, the second is pending."""
    fill(store, table.model_copy(update={"cells": table.cells[2:], "reference": None}))
    store.folder(table.cells[0].run, TRAIN).write_failure(Failure(traceback="Traceback: no memory"))
    return results(table, store)
