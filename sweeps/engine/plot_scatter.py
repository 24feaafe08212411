"""Accuracy over what a method costs: a point per row, its name beside it, a panel per column."""

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from search_spaces.table import Scatter
from sweeps.engine.plot_labels import Named, place_labels
from sweeps.engine.plot_style import (
    COLOURS,
    FONT,
    MARKERS,
    PRINTED,
    TWO_COLUMNS,
    ci95,
    head,
    label,
    legend,
    make_panels,
    marked_row,
    measure,
    percent,
    reach,
    scale_x,
    shape,
    short,
)
from sweeps.engine.results import CellResult, TableResult

_MOST_NAMED = 8
"""Rows; names of more do not fit beside their points."""
_DECADES = 1.5
"""Labels within decades, 2 and 5, only where there are fewer of these."""


def scatter(result: TableResult, axis: Scatter) -> Figure:
    """Where not all names fit beside the points, numbers stand there, and the names below the panels."""
    rows = result.table.rows()
    if len(rows) <= _MOST_NAMED:
        figure, fits = _drawn(result, axis, {row: label(row, 22) for row in rows}, numbered=False)
        if fits:
            return figure
    return _drawn(result, axis, {row: str(i) for i, row in enumerate(rows, 1)}, numbered=True)[0]


def _drawn(result: TableResult, axis: Scatter, names: Mapping[str, str], *, numbered: bool) -> tuple[Figure, bool]:
    columns = result.table.columns()
    grid = shape(len(columns), most=3)
    width = TWO_COLUMNS if numbered else grid.width
    figure = Figure(figsize=(width, 0.3 + 2.1 * grid.rows), layout="constrained")
    panels = make_panels(figure, len(columns), grid)
    costs = [_x(cell, axis) for cell in _drawable(result.cells, axis)]
    by_panel = list(zip(panels, columns, strict=True))
    for panel, column in by_panel:
        cells = result.column(column)
        _points(panel, axis, _drawable(cells, axis), names, numbered=numbered)
        _scale(panel, costs)
        without = sum(axis.x not in cell.cell.settings for cell in cells)
        head(panel, column, cells, [f"{without} without costs"] if without else [])
    figure.supxlabel(axis.x_label)
    for panel in panels[:: grid.columns]:
        panel.set_ylabel(measure(result))
    legend(figure, panels, width)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    fits = [_label(panel, axis, _drawable(result.column(column), axis), names) for panel, column in by_panel]
    return figure, all(fits)


def _drawable(cells: tuple[CellResult, ...], axis: Scatter) -> list[CellResult]:
    return [cell for cell in cells if cell.state == "done" and axis.x in cell.cell.settings]


def _points(panel: Axes, axis: Scatter, cells: list[CellResult], names: Mapping[str, str], *, numbered: bool) -> None:
    order = list(names)
    for cell in cells:
        i = order.index(cell.cell.row)
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        key = marked_row(f"{names[cell.cell.row]}  {short(cell.cell.row)}", [cell])
        panel.errorbar(
            _x(cell, axis), percent(cell), ci95(cell), linestyle="none", color=colour, marker=marker, capsize=1.5,
            elinewidth=0.8, zorder=3, label=key if numbered else None,
        )  # fmt: skip
        if cell.printed:
            panel.plot(_x(cell, axis), cell.printed.percent, color=colour, marker=marker, mfc="white", zorder=4)
    if any(cell.printed for cell in cells):
        panel.plot([], [], color="0.3", marker="o", mfc="white", linestyle="none", label=PRINTED)
    panel.margins(y=0.18)
    panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _scale(panel: Axes, values: list[float]) -> None:
    """The same for all panels."""
    if values:
        scale_x(panel, values)
        reach(panel, values, 0.16)
    if panel.get_xscale() == "log":
        span = math.log10(max(values) / min(values))
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < _DECADES else (1,), numticks=9))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    elif panel.get_xscale() == "linear":
        panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _label(panel: Axes, axis: Scatter, cells: list[CellResult], names: Mapping[str, str]) -> bool:
    points = [
        Named(_x(cell, axis), percent(cell), ci95(cell), marked_row(names[cell.cell.row], [cell])) for cell in cells
    ]
    printed = [(_x(cell, axis), cell.printed.percent) for cell in cells if cell.printed]
    return place_labels(panel, points, printed, FONT)


def _x(cell: CellResult, axis: Scatter) -> float:
    return float(cell.cell.settings[axis.x])
