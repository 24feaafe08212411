"""A table as a figure: lines over the table's axis, or bars where it has none. A panel per column."""

import io
import math
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import RcKeyType

from search_spaces.table import Axis
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.selection_words import SHORT, chosen_on_test, marked

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: told apart by every kind of colour vision."""
_PRINTED = "printed"
_LONGEST_LABEL = 32
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("--", ":", "-.", (0, (1, 3)))
_STYLE: dict[RcKeyType, Any] = {
    "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8, "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "0.9", "grid.linewidth": 0.6,
    "axes.axisbelow": True, "pdf.fonttype": 42,
    "text.parse_math": False, "lines.markersize": 4.5, "lines.linewidth": 1.4, "legend.frameon": False,
}  # fmt: skip


def draw(result: TableResult, kind: Literal["png", "pdf"]) -> bytes:
    """The whole file. Equal results give equal bytes. Unfinished cells are left out, and the title says how many."""
    with rc_context(_STYLE):
        figure = _lines(result, axis) if isinstance(axis := result.table.axis, Axis) else _bars(result)
        FigureCanvasAgg(figure)
        out = io.BytesIO()
        metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None, "Creator": None}
        figure.savefig(out, format=kind, dpi=200, metadata=metadata)
    return out.getvalue()


def _lines(result: TableResult, axis: Axis) -> Figure:
    columns = result.table.columns()
    figure = Figure(figsize=(1.0 + 3.0 * len(columns), 3.1), layout="constrained")
    groups = tuple(dict.fromkeys(str(c.cell.settings[axis.group]) for c in result.cells if _on_axis(c, axis)))
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for panel, column in zip(panels, columns, strict=True):
        cells = result.column(column)
        on_axis = [cell for cell in cells if _on_axis(cell, axis)]
        for i, group in enumerate(groups):
            own = [c for c in on_axis if str(c.cell.settings[axis.group]) == group]
            _line(panel, axis, own, _marked(group, own), i, len(groups))
        for i, cell in enumerate(c for c in cells if not _on_axis(c, axis) and c.state == "done"):
            _level(panel, cell, i)
        ticks = sorted({_x(cell, axis) for cell in result.cells if _on_axis(cell, axis)})
        if len(ticks) <= 10:
            panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.set_xlabel(axis.x_label)
        _head(panel, result, column)
    panels[0].set_ylabel(_measure(result))
    _legend(figure, panels)
    return figure


def _line(panel: Axes, axis: Axis, cells: list[CellResult], group: str, i: int, groups: int) -> None:
    """Groups stand a little beside each other, so that no interval hides another. A line breaks at unfinished cells."""
    cells = sorted(cells, key=lambda cell: _x(cell, axis))
    colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]
    xs = [_x(cell, axis) for cell in cells]
    width = (max(xs) - min(xs)) if len(xs) > 1 else 0.0
    beside = [x + 0.012 * width * (i - (groups - 1) / 2) for x in xs]
    panel.errorbar(
        beside,
        [_percent(c) for c in cells],
        [_ci95(c) for c in cells],
        color=colour,
        marker=marker,
        capsize=2,
        label=group,
        zorder=3,
    )
    shown = [(x, c) for x, c in zip(beside, cells, strict=True) if c.printed and c.state == "done"]
    printed = [(x, c.printed.percent) for x, c in shown if c.printed]
    if printed:
        x, y = zip(*printed, strict=True)
        panel.plot(
            x,
            y,
            color=colour,
            marker=marker,
            linestyle="none",
            markerfacecolor="white",
            label=f"{group}, {_PRINTED}",
            zorder=4,
        )


def _level(panel: Axes, cell: CellResult, i: int) -> None:
    level, ci95 = _percent(cell), _ci95(cell)
    panel.axhline(
        level,
        color="0.35",
        linestyle=_DASHES[i % len(_DASHES)],
        linewidth=1.1,
        label=_marked(_label(cell.cell.row), [cell]),
        zorder=2,
    )
    panel.axhspan(level - ci95, level + ci95, color="0.35", alpha=0.10, linewidth=0, zorder=1)


def _bars(result: TableResult) -> Figure:
    columns, rows = result.table.columns(), result.table.rows()
    figure = Figure(figsize=(1.4 + 2.9 * len(columns), 1.1 + 0.3 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    places = {row: i for i, row in enumerate(rows)}
    for panel, column in zip(panels, columns, strict=True):
        cells = [cell for cell in result.column(column) if cell.state == "done"]
        for cell in cells:
            _bar(panel, cell, places[cell.cell.row], reference=cell.cell.row == result.table.reference)
        _from_chance(panel, cells)
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
        panel.set_xlabel(_measure(result))
        _head(panel, result, column)
    of_row = {row: [cell for cell in result.cells if cell.cell.row == row] for row in rows}
    panels[0].set_yticks(range(len(rows)), [_marked(_label(row), of_row[row]) for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    _legend(figure, panels)
    return figure


def _bar(panel: Axes, cell: CellResult, place: int, *, reference: bool) -> None:
    level, ci95 = _percent(cell), _ci95(cell)
    colour = "0.6" if reference else _COLOURS[0]
    panel.barh(place, level, height=0.62, color=colour, xerr=ci95, error_kw={"capsize": 2, "elinewidth": 1.1})
    if cell.printed:
        printed = cell.printed.percent
        panel.plot(printed, place, marker="o", linestyle="none", color="black", markerfacecolor="white", label=_PRINTED)
    panel.annotate(
        marked(f"{level:.1f}", cell.cell.run), (1, place),
        xytext=(4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        va="center", fontsize=8,
    )  # fmt: skip


def _from_chance(panel: Axes, cells: list[CellResult]) -> None:
    """Bars start at chance, the true zero of the task, unless something lies below it."""
    if not cells:
        return
    chance = 100 / max(cell.cell.evaluation.way for cell in cells)
    lowest = min(_percent(cell) - _ci95(cell) for cell in cells)
    printed = [cell.printed.percent for cell in cells if cell.printed]
    highest = max(*(_percent(cell) + _ci95(cell) for cell in cells), *printed, chance)
    start = chance if min([lowest, *printed]) > chance else 0.0
    panel.set_xlim(start, highest + 0.03 * (highest - start))


def _head(panel: Axes, result: TableResult, column: str) -> None:
    cells = result.column(column)
    missing = sum(cell.state != "done" for cell in cells)
    panel.set_title(f"{column} ({missing} of {len(cells)} not finished)" if missing else column)
    if result.table.axis is not None:
        panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _measure(result: TableResult) -> str:
    datasets = dict.fromkeys(cell.dataset for cell in result.cells)
    text = f"accuracy on {', '.join(datasets)} (%)"
    return f"{text}\n{SHORT}" if any(chosen_on_test(cell.cell.run) for cell in result.cells) else text


def _legend(figure: Figure, panels: list[Axes]) -> None:
    """One for all panels, below them: lines first, then levels, then printed values."""
    entries = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    order = sorted(
        entries, key=lambda name: (name.endswith(_PRINTED), not isinstance(entries[name], ErrorbarContainer))
    )
    if entries:
        figure.legend([entries[name] for name in order], order, loc="outside lower center", ncols=min(len(order), 4))


def _label(row: str) -> str:
    """Short enough to leave room for the figure."""
    return row if len(row) <= _LONGEST_LABEL else f"{row[: _LONGEST_LABEL - 1].rstrip()}…"


def _marked(name: str, cells: list[CellResult]) -> str:
    """Of a line or a row, as soon as one of its numbers needs the mark."""
    return next((marked(name, cell.cell.run) for cell in cells if chosen_on_test(cell.cell.run)), name)


def _on_axis(cell: CellResult, axis: Axis) -> bool:
    return axis.x in cell.cell.settings and axis.group in cell.cell.settings


def _x(cell: CellResult, axis: Axis) -> float:
    return float(cell.cell.settings[axis.x])


def _percent(cell: CellResult) -> float:
    """NaN, which draws nothing, for an unfinished cell."""
    return math.nan if cell.state != "done" or cell.accuracy is None else 100 * cell.accuracy


def _ci95(cell: CellResult) -> float:
    return 100 * (cell.ci95 or 0.0)
