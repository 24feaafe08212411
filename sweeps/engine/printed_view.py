"""A table of a paper as it is printed, with the doubts about it, and the list of all of them."""

from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from search_spaces.papers.printed import PrintedCell, PrintedTable

_UNITS = {"accuracy": "%", "accuracy_gain": "gain, points", "flops_overhead": "more FLOPs, %", "tuples": "tuples"}
_OWN = "bold"
_WIDE = 130
"""Characters from which there is room for the title."""
_STATE, _LEAST = 26, 12
_TAKEN = 76
"""Characters of all other columns and the space between."""


def as_printed(table: PrintedTable) -> Group:
    """Rows and columns in the paper's order; bold: made by the paper itself, the rest is copied from earlier work."""
    columns = dict.fromkeys(map(_column, table.cells))
    values = {(cell.row, _column(cell)): cell for cell in table.cells}
    doubted = list(dict.fromkeys(cell.doubt for cell in table.cells if cell.doubt))
    drawn = RichTable(title=Text(f"{table.source()}: {table.title}"), title_justify="left", header_style="bold")
    drawn.add_column("row")
    for column in columns:
        drawn.add_column(Text(column), justify="right")
    for row in dict.fromkeys(cell.row for cell in table.cells):
        cells = [values.get((row, column)) for column in columns]
        drawn.add_row(Text(row), *(_value(cell, doubted) for cell in cells))
    own = len(table.own_accuracies())
    lines = [f"{len(table.cells)} printed numbers; bold: made by the paper itself ({own} accuracies can be run again)."]
    lines += [f"({number}) {doubt}" for number, doubt in enumerate(doubted, start=1)]
    lines += [table.note] if table.note else []
    return Group(drawn, *(Text(line, style="dim") for line in lines))


def printed_list(tables: Iterable[PrintedTable], counts: Mapping[str, tuple[int, str]], width: int) -> RichTable:
    """A line per table, for a console of so many characters; ``counts``: by name, the trainings of one seed, and how
    far they are in words."""
    drawn = RichTable(title="Tables of the papers", title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    wide = width >= _WIDE
    for heading in ("table", *(["title"] if wide else []), "varies"):
        drawn.add_column(heading)
    for heading in ("cells", "trainings"):
        drawn.add_column(heading, justify="right")
    drawn.add_column("state")
    room = (width - _TAKEN) // (2 if wide else 1)
    paper = None
    for table in tables:
        if paper not in (None, table.paper):
            drawn.add_section()
        paper = table.paper
        trainings, state = counts.get(table.name, (0, "nothing to run"))
        cells = f"{len(table.own_accuracies())} of {len(table.cells)}"
        words = [*([_short(table.title, room)] if wide else []), _short(", ".join(table.varies), room)]
        drawn.add_row(Text(table.name), *words, cells, str(trainings), _short(state, _STATE))
    return drawn


def _short(text: str, width: int) -> Text:
    said = Text(text)
    said.truncate(max(width, _LEAST), overflow="ellipsis")
    return said


def _column(cell: PrintedCell) -> str:
    place = [] if cell.dataset == "n/a" else [cell.dataset]
    place += [] if cell.way in (None, 5) else [f"{cell.way}-way"]
    place += [] if cell.shot is None else [f"{cell.shot}-shot"]
    unit = _UNITS.get(cell.metric, f"{cell.metric}, {cell.unit}")
    return "\n".join([" ".join(place), unit])


def _value(cell: PrintedCell | None, doubted: Sequence[str]) -> Text:
    if cell is None:
        return Text("–", style="dim")
    mark = f" ({doubted.index(cell.doubt) + 1})" if cell.doubt else ""
    return Text.assemble((cell.value, _OWN if cell.own else ""), (mark, "dim"))
