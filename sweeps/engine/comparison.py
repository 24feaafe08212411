"""Printed values beside ours: cell by cell with a verdict, and column by column whether the rows stand in order."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from search_spaces.table import Published
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.statistics.agreement import RankAgreement, rank_agreement
from sweeps.engine.statistics.intervals import pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes
from sweeps.engine.statistics.reproduction import MARGIN, Reproduction, reproduction

Standing = Literal["reproduced", "better", "worse", "undecided", "other data", "not printed", "pending", "failed"]
"""Of a cell: the verdict where there is one. ``other data``: the printed value is of another data set or backbone."""
Worst = Literal["done", "undecided", "drift", "failed"]
"""Of a comparison, from good to bad. ``done``: all cells are, and those that can be compared are reproduced.
``undecided``: more seeds or episodes are needed, or cells are not finished. ``drift``: a cell is further from the
printed value than the margin."""


@dataclass(frozen=True, eq=False)
class ComparedCell:
    """One of our cells with what is printed of it."""

    result: CellResult
    reproduction: Reproduction | None
    """None where ours is not finished, or no printed value is of our data set and backbone."""

    @property
    def standing(self) -> Standing:
        if self.result.state != "done":
            return self.result.state
        if self.reproduction is not None:
            return self.reproduction.verdict
        return "other data" if self.result.cell.published else "not printed"


@dataclass(frozen=True)
class Order:
    """The finished rows of a column against the order in which a paper prints them."""

    column: str
    dataset: str
    """As printed."""
    source: str
    comparable: bool
    """False where the values are of other data than ours, so that their order is all that can be compared."""
    rows: int
    agreement: RankAgreement


@dataclass(frozen=True, eq=False)
class Comparison:
    """All cells in the order of the table; an order per column and printed data set where two values differ."""

    result: TableResult
    margin: float
    """A fraction."""
    cells: tuple[ComparedCell, ...]
    orders: tuple[Order, ...]

    def counts(self) -> Mapping[Standing, int]:
        """Cells by standing, the frequent first."""
        standings: Counter[Standing] = Counter(cell.standing for cell in self.cells)
        return dict(standings.most_common())

    def on_other_data(self) -> bool:
        """Whether there are printed values, and none is of our data."""
        published = [cell.result for cell in self.cells if cell.result.cell.published]
        return bool(published) and all(result.printed is None for result in published)

    def exit_code(self) -> Worst:
        """The worst that was found; values of other data are no finding."""
        found = self.counts()
        if "failed" in found:
            return "failed"
        if "better" in found or "worse" in found:
            return "drift"
        return "undecided" if "undecided" in found or "pending" in found else "done"


def compare(result: TableResult, margin: float = MARGIN) -> Comparison:
    """Of the finished cells; the rows of a column share their spread over seeds.

    Raises ValueError for a ``margin`` that is no fraction above 0.
    """
    cells = [cell for column in result.table.columns() for cell in _compared(result, column, margin)]
    places = {(own.result.cell.row, own.result.cell.column): own for own in cells}
    return Comparison(
        result=result,
        margin=margin,
        cells=tuple(places[cell.cell.row, cell.cell.column] for cell in result.cells),
        orders=tuple(order for column in result.table.columns() for order in _orders(result, column)),
    )


def _compared(result: TableResult, column: str, margin: float) -> Iterator[ComparedCell]:
    cells = result.column(column)
    finished = [found for cell in cells if (found := _outcomes(cell)) is not None]
    spread = pooled_spread(finished)
    for cell in cells:
        ours = _outcomes(cell)
        if ours is None or cell.printed is None:
            yield ComparedCell(cell, None)
        else:
            yield ComparedCell(cell, reproduction(ours, cell.printed.percent / 100, margin=margin, spread=spread))


def _orders(result: TableResult, column: str) -> Iterator[Order]:
    """One for rows that met the same episodes, and are printed by the same paper on the same data set."""
    alike: dict[tuple[str, str, str], list[tuple[Outcomes, Published, bool]]] = {}
    for cell in result.column(column):
        ours = _outcomes(cell)
        if ours is not None:
            for value in _one_a_place(cell):
                met = cell.dataset + cell.cell.evaluation.model_dump_json(exclude={"dataset", "method"})
                alike.setdefault((value.dataset, value.source, met), []).append((ours, value, value is cell.printed))
    for (dataset, source, _), found in alike.items():
        rows, printed = [ours for ours, _, _ in found], [value.percent for _, value, _ in found]
        if len(set(printed)) > 1:
            agreement = rank_agreement(rows, printed, pooled_spread(rows))
            yield Order(column, dataset, source, all(comparable for _, _, comparable in found), len(rows), agreement)


def _one_a_place(cell: CellResult) -> Iterator[Published]:
    """A printed value for each data set and source; of several, for instance of two backbones, that of ours."""
    values = {(value.dataset, value.source): value for value in reversed(cell.cell.published)}
    if cell.printed is not None:
        values[cell.printed.dataset, cell.printed.source] = cell.printed
    yield from (values[place] for place in reversed(values))


def _outcomes(cell: CellResult) -> Outcomes | None:
    return cell.outcomes([seed.seed for seed in cell.seeds]) if cell.state == "done" else None
