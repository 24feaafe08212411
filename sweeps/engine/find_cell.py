"""A cell by its name, TABLE:ROW:COLUMN, or by parts of it."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.site import BadRequest

_LISTED = 20
_TYPED = str.maketrans(
    {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda", "σ": "sigma", "τ": "tau", "×": "x"}
    | dict.fromkeys("–—−", "-")
)


class Found(NamedTuple):
    """A cell and the table that it stands in."""

    result: TableResult
    cell: CellResult

    @property
    def name(self) -> str:
        return cell_name(self.result, self.cell)


def cell_name(result: TableResult, cell: CellResult) -> str:
    """What finds this cell alone."""
    return ":".join((result.table.name, cell.cell.row, cell.cell.column))


def find_cell(results: Sequence[TableResult], asked: str) -> Found:
    """The one cell that is meant: by its whole name, or by parts of it with colons between them; a part that is a whole
    table, row or column counts before one that is only in some. Case, spaces and Greek letters may be typed otherwise.

    Raises BadRequest where there is none, or where there are several.
    """
    cells = [Found(result, cell) for result in results for cell in result.cells]
    parts = [_plain(part) for part in asked.split(":") if _plain(part)]
    ways: tuple[Callable[[Found], bool], ...] = (
        lambda found: _plain(found.name) == _plain(asked),
        lambda found: all(part in _own(found) for part in parts),
        lambda found: all(part in _plain(found.name) for part in parts),
    )
    for fits in ways if parts else ():
        matches = [found for found in cells if fits(found)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise BadRequest([f"{asked!r} must name one cell, but {len(matches)} fit:{_listed(matches)}"])
    raise BadRequest([_unknown(asked, cells)])


def _own(found: Found) -> tuple[str, ...]:
    return tuple(_plain(part) for part in (found.result.table.name, found.cell.cell.row, found.cell.cell.column))


def _unknown(asked: str, cells: Sequence[Found]) -> str:
    names = {_plain(found.name): found.name for found in cells}
    near = [names[name] for name in get_close_matches(_plain(asked), names, n=3, cutoff=0.4)]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are:{_listed(cells)}"
    return f"no cell is called {asked!r}, which must be TABLE:ROW:COLUMN or a part of it; {hint}"


def _listed(cells: Sequence[Found]) -> str:
    more = f"\n  and {len(cells) - _LISTED} more" if len(cells) > _LISTED else ""
    return "".join(f"\n  {found.name}" for found in cells[:_LISTED]) + more


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold().translate(_TYPED).replace(" :", ":").replace(": ", ":")
