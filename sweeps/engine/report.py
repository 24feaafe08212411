"""What a table shows, before any format: texts of every place, what stands out, what is not finished yet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from search_spaces.table import Published
from sweeps.engine.once import once
from sweeps.engine.protocol import DAGGER, LEVEL, STAR
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.selection_words import chosen_on_test, marked, titled

Rank = Literal["best", "second"]
T = TypeVar("T")
BETWEEN = " · "
"""Stands between printed values of one cell."""


@dataclass(frozen=True)
class Entry:
    """One cell in words."""

    value: str
    """Our accuracy in per cent, or why there is none: ``pending 1/2 seeds``, ``failed``."""
    spread: str
    """`` ± 0.9 (0.4)``: 95 % interval over episodes, standard deviation over seeds; with a mark where the weights were
    chosen on test. Empty for unfinished cells."""
    rank: Rank | None
    difference: str
    """To the reference row, with a star where it is significant."""
    printed: str


@dataclass(frozen=True)
class Column:
    """A column of the table, and which of its parts there are."""

    name: str
    difference: str | None
    """Heading of the differences, or None."""
    printed: str | None
    """Heading of the printed values, or None."""

    def headings(self) -> tuple[str, ...]:
        return tuple(text for text in ("ours %", self.difference, self.printed) if text is not None)

    def texts(self, entry: Entry | None) -> tuple[str, ...]:
        """Of an entry's parts after the first, as many as there are headings after it."""
        difference, printed = ("", "") if entry is None else (entry.difference, entry.printed)
        parts = ((self.difference, difference), (self.printed, printed))
        return tuple(text for heading, text in parts if heading is not None)


@dataclass(frozen=True)
class Grid:
    """A table in words."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Entry | None, ...]], ...]
    """Row name, and an entry per column; None where the table has no cell."""


@once
def grid(result: TableResult) -> Grid:
    """Best and second best are marked among complete cells only, and only where there are several."""
    ranks = {name: _ranks(result.column(name)) for name in result.table.columns()}
    several = {name for name in ranks if len(_printed_datasets(result, name)) > 1}
    digits = decimals(result)

    def entry(row: str, name: str) -> Entry | None:
        cell = result.at(row, name)
        if cell is None:
            return None
        printed = BETWEEN.join(_printed_value(cell, value, several=name in several) for value in cell.cell.published)
        return _entry(result, cell, ranks[name].get(row), digits, printed)

    columns = tuple(_column(result, name) for name in result.table.columns())
    rows = tuple((row, tuple(entry(row, column.name) for column in columns)) for row in result.table.rows())
    return Grid(titled(result.table.title, (cell.cell.run for cell in result.cells)), columns, rows)


def places(
    words: Grid, entries: tuple[Entry | None, ...], ours: Callable[[Entry], T], other: Callable[[str], T], empty: T
) -> list[T]:
    """A row of a grid from left to right, in some format; ``empty`` stands where there is nothing to say."""
    row: list[T] = []
    for column, entry in zip(words.columns, entries, strict=True):
        row.append(empty if entry is None else ours(entry))
        row += [other(text) if text else empty for text in column.texts(entry)]
    return row


def decimals(result: TableResult) -> int:
    """Of our per cents: 2 where the narrowest interval of the table is below half a point, else 1."""
    narrowest = min((cell.ci95 for cell in result.cells if cell.ci95 is not None), default=1.0)
    return 2 if narrowest < 0.005 else 1


def state_text(cell: CellResult) -> str:
    """Empty for a complete cell."""
    if cell.state == "done":
        return ""
    done = f"{len(cell.done)}/{len(cell.seeds)} seeds"
    if cell.state == "failed":
        return "failed" if len(cell.seeds) == 1 else f"failed, {done}"
    return f"pending {done}"


def points(fraction: float, digits: int) -> str:
    """A signed difference in points, with a true minus sign."""
    text = f"{100 * fraction:+.{digits}f}"
    return (text[1:] if float(text) == 0 else text).replace("-", "−")


def _entry(result: TableResult, cell: CellResult, rank: Rank | None, digits: int, printed: str) -> Entry:
    unfinished = state_text(cell)
    if unfinished or cell.accuracy is None or cell.ci95 is None:
        return Entry(unfinished, "", None, "", printed)
    sd = "" if cell.seed_sd is None else f" ({100 * cell.seed_sd:.{digits}f})"
    spread = marked(f" ± {100 * cell.ci95:.{digits}f}{sd}", cell.cell.run)
    return Entry(f"{100 * cell.accuracy:.{digits}f}", spread, rank, _difference(result, cell, digits), printed)


def _difference(result: TableResult, cell: CellResult, digits: int) -> str:
    if cell.cell.row == result.table.reference:
        return "reference"
    reference = None if result.table.reference is None else result.at(result.table.reference, cell.cell.column)
    found = result.difference(cell)
    if found is None or reference is None or reference.state != "done":
        return ""
    text = f"{points(found.mean, digits)} ± {100 * found.ci95:.{digits}f}{STAR if found.p < LEVEL else ''}"
    return text if chosen_on_test(cell.cell.run) else marked(text, reference.cell.run)


def _printed_value(cell: CellResult, value: Published, *, several: bool) -> str:
    text = f"{value.percent:.2f}"
    if value is cell.printed and cell.printed_minus_ours is not None:
        text += f" ({points(cell.printed_minus_ours, 2)})"
    return f"{text} [{value.dataset}]" if several else text


def _column(result: TableResult, name: str) -> Column:
    reference = result.table.reference
    datasets = _printed_datasets(result, name)
    printed = None
    if datasets:
        printed = f"printed on {datasets[0]}" if len(datasets) == 1 else "printed"
        if any(cell.printed for cell in result.column(name)):
            printed += " (− ours)"
        if any(value is not cell.printed for cell in result.column(name) for value in cell.cell.published):
            printed += f" {DAGGER}"
    return Column(name, None if reference is None else f"− {reference}", printed)


def _printed_datasets(result: TableResult, column: str) -> tuple[str, ...]:
    values = (value for cell in result.column(column) for value in cell.cell.published)
    return tuple(dict.fromkeys(value.dataset for value in values))


def _ranks(cells: tuple[CellResult, ...]) -> dict[str, Rank]:
    """By row. Equal accuracies share a rank. Weights chosen on test do not compete with others."""
    honest = tuple(cell for cell in cells if not chosen_on_test(cell.cell.run)) or cells
    complete = {cell.cell.row: cell.accuracy for cell in honest if cell.state == "done" and cell.accuracy is not None}
    if len(complete) < 2:
        return {}
    names: tuple[Rank, Rank] = ("best", "second")
    order = dict(zip(sorted(set(complete.values()), reverse=True)[:2], names, strict=False))
    return {row: order[accuracy] for row, accuracy in complete.items() if accuracy in order}
