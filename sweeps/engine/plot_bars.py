"""Bars: a row for each row of the table, a panel for each column."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeps.engine.plot_style import (
    COLOURS,
    FONT,
    PRINTED,
    ci95,
    head,
    label,
    legend,
    make_panels,
    marked_row,
    measure,
    percent,
    shape,
    short,
)
from sweeps.engine.report import state_text
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.selection_words import marked

_MOST_LINES = 24
"""Of names of rows; more rows than that have one line each, so that two panels below each other fit a page."""
_ONE_LINE = 30


def bars(result: TableResult) -> Figure:
    """The reference row is grey. Bars start at chance, the true zero of the task, unless something lies below it."""
    columns, rows = result.table.columns(), result.table.rows()
    names = [label(row) for row in rows]
    if sum(1 + name.count("\n") for name in names) > _MOST_LINES:
        names = [short(row, _ONE_LINE) for row in rows]
    lines = sum(1 + name.count("\n") for name in names)
    grid = shape(len(columns))
    height = 0.3 + grid.rows * (0.38 + 0.07 * len(rows) + 0.11 * lines)
    figure = Figure(figsize=(grid.width, height), layout="constrained")
    panels = make_panels(figure, len(columns), grid, share_rows=True)
    places = {row: i for i, row in enumerate(rows)}
    for panel, column in zip(panels, columns, strict=True):
        cells = result.column(column)
        _from_chance(panel, [cell for cell in cells if cell.state == "done"])
        for cell in cells:
            _bar(panel, cell, places[cell.cell.row], reference=cell.cell.row == result.table.reference)
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
        panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        head(panel, column, cells)
    of_row = {row: [cell for cell in result.cells if cell.cell.row == row] for row in rows}
    ticks = [marked_row(name, of_row[row]) for name, row in zip(names, rows, strict=True)]
    panels[0].set_yticks(range(len(rows)), ticks)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.supxlabel(measure(result))
    legend(figure, panels, grid.width)
    return figure


def _bar(panel: Axes, cell: CellResult, place: int, *, reference: bool) -> None:
    level = percent(cell)
    if cell.state != "done":
        panel.annotate(
            state_text(cell).removesuffix(" seeds"), (0, place),
            xytext=(3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", fontsize=FONT, color="0.4", style="italic",
        )  # fmt: skip
        return
    colour = "0.65" if reference else COLOURS[0]
    ends = {"capsize": 1.5, "elinewidth": 0.8, "capthick": 0.8, "ecolor": "black"}
    panel.barh(place, level, height=0.66, color=colour, xerr=ci95(cell), error_kw=ends)
    if cell.printed:
        panel.plot(
            cell.printed.percent,
            place,
            marker="D",
            linestyle="none",
            color="black",
            mfc="white",
            mew=0.8,
            label=PRINTED,
        )
    panel.annotate(
        marked(f"{level:.1f}", cell.cell.run), (1, place),
        xytext=(3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        va="center", fontsize=FONT,
    )  # fmt: skip


def _from_chance(panel: Axes, cells: list[CellResult]) -> None:
    if not cells:
        panel.set_xlim(0, 100)
        return
    chance = 100 / max(cell.cell.evaluation.way for cell in cells)
    lowest = min(percent(cell) - ci95(cell) for cell in cells)
    printed = [cell.printed.percent for cell in cells if cell.printed]
    highest = max(*(percent(cell) + ci95(cell) for cell in cells), *printed, chance)
    start = chance if min([lowest, *printed]) > chance else 0.0
    panel.set_xlim(start, highest + 0.05 * (highest - start))
