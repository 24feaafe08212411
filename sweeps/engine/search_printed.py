"""What the papers printed over the axes of a search, in words."""

from collections.abc import Iterable, Sequence

from search_spaces.papers.printed import PrintedCell, PrintedTable, printed_tables

_MOST = 4
"""Columns of a table that are told."""
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def printed_words(names: Iterable[str]) -> tuple[str, ...]:
    """A line per table: the best row of each column, and how far apart the rows are. All of it was chosen and reported
    on test."""
    tables = printed_tables()
    return tuple(_words(tables[name]) if name in tables else f"{name}: no numbers are printed" for name in names)


def _words(table: PrintedTable) -> str:
    columns: dict[tuple[str, int | None, int | None], list[PrintedCell]] = {}
    for cell in table.own_accuracies():
        columns.setdefault((cell.dataset, cell.way, cell.shot), []).append(cell)
    told = [(place, cells) for place, cells in columns.items() if len(cells) > 1]
    head = f"{table.source()} ({table.title[0].lower()}{table.title[1:]}), on test: "
    if not told:
        return f"{head}no two rows that can be compared"
    more = f"; and {len(told) - _MOST} more columns" if len(told) > _MOST else ""
    return head + "; ".join(_column(*place, cells) for place, cells in told[:_MOST]) + more


def _column(dataset: str, way: int | None, shot: int | None, cells: Sequence[PrintedCell]) -> str:
    values = [float(cell.value) for cell in cells]
    best = " and ".join(dict.fromkeys(cell.row for cell in cells if float(cell.value) == max(values)))
    shape = f" {way}-way {shot}-shot" if way and shot else f" {shot}-shot" if shot else ""
    number = _NUMBERS[len(cells)] if len(cells) < len(_NUMBERS) else str(len(cells))
    printed = next(cell.value for cell in cells if float(cell.value) == max(values))
    spread = f"{max(values) - min(values):.1f} points from the worst to the best"
    return f"{dataset}{shape}: {best} is the best of {number} ({printed}), {spread}"
