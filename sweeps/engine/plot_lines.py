"""Lines over a numeric setting: one per value of another setting, in panels by column or by a third setting."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from search_spaces.table import Axis
from sweeps.engine.plot_style import (
    COLOURS,
    DASHES,
    LETTER,
    MARKERS,
    PRINTED,
    TWO_COLUMNS,
    ci95,
    head,
    legend,
    make_panels,
    marked_row,
    measure,
    percent,
    reach,
    scale_x,
    shape,
    short,
    text,
)
from sweeps.engine.results import CellResult, TableResult

_BESIDE = 1.3
"""Points between groups, so that no interval hides another."""
_SPREAD = 12.0
"""Points, of all groups together at most."""
_MANY_GROUPS = 6
_LEVELS = ((0, (4, 3)), (0, (1, 2)), (0, (4, 2, 1, 2)), (0, (1, 4)))
_MOST_TICKS = 12


def lines(result: TableResult, axis: Axis) -> Figure:
    """Rows without ``x`` are level lines. A line breaks at unfinished cells."""
    by_panel = _by_panel(result, axis)
    grid = shape(len(by_panel), most=3)
    groups = tuple(dict.fromkeys(text(c.cell.settings[axis.group]) for c in result.cells if _on_axis(c, axis)))
    width = TWO_COLUMNS if len(groups) > _MANY_GROUPS else grid.width
    figure = Figure(figsize=(width, 0.3 + 1.85 * grid.rows), layout="constrained")
    panels = make_panels(figure, len(by_panel), grid)
    for panel, (name, cells) in zip(panels, by_panel.items(), strict=True):
        on_axis = [cell for cell in cells if _on_axis(cell, axis)]
        for i, group in enumerate(groups):
            own = [cell for cell in on_axis if text(cell.cell.settings[axis.group]) == group]
            if own:
                beside = (i - (len(groups) - 1) / 2) * min(_BESIDE, _SPREAD / len(groups))
                _line(panel, axis, own, group, i, beside)
        levels = [cell for cell in cells if not _on_axis(cell, axis) and cell.state == "done"]
        for i, cell in enumerate(levels):
            _level(panel, cell, i)
        _ticks(panel, width / grid.columns, [_x(cell, axis) for cell in on_axis])
        head(panel, name, cells)
    figure.supxlabel(axis.x_label)
    for panel in panels[:: grid.columns]:
        panel.set_ylabel(measure(result))
    legend(figure, panels, width)
    return figure


def _by_panel(result: TableResult, axis: Axis) -> dict[str, list[CellResult]]:
    found: dict[str, list[CellResult]] = {}
    for cell in result.cells:
        name = None if axis.panel is None else cell.cell.settings.get(axis.panel)
        found.setdefault(cell.cell.column if name is None else text(name), []).append(cell)
    return found


def _line(panel: Axes, axis: Axis, cells: list[CellResult], group: str, i: int, points: float) -> None:
    """``points``: how far beside its place the line is drawn."""
    cells = sorted(cells, key=lambda cell: _x(cell, axis))
    figure = panel.get_figure(root=True)
    beside = ScaledTranslation(points / 72, 0, figure.dpi_scale_trans) if figure else panel.transData
    colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
    drawn = panel.errorbar(
        [_x(cell, axis) for cell in cells],
        [percent(cell) for cell in cells],
        [ci95(cell) for cell in cells],
        color=colour,
        marker=marker,
        linestyle=DASHES[i % len(DASHES)],
        capsize=1.5,
        elinewidth=0.8,
        label=marked_row(short(group), cells),
        zorder=3,
    )
    for artist in drawn.get_children():
        artist.set_transform(panel.transData + beside)
    printed = [(_x(c, axis), c.printed.percent) for c in cells if c.printed and c.state == "done"]
    if printed:
        (hollow,) = panel.plot(
            *zip(*printed, strict=True), linestyle="none", color=colour, marker=marker, mfc="white", zorder=4,
            label=f"{short(group)}, {PRINTED}",
        )  # fmt: skip
        hollow.set_transform(panel.transData + beside)


def _level(panel: Axes, cell: CellResult, i: int) -> None:
    level, around = percent(cell), ci95(cell)
    name = marked_row(short(cell.cell.row), [cell])
    panel.axhline(level, color="0.35", linestyle=_LEVELS[i % len(_LEVELS)], linewidth=1.0, label=name, zorder=2)
    panel.axhspan(level - around, level + around, color="0.35", alpha=0.10, linewidth=0, zorder=1)


def _ticks(panel: Axes, inches: float, values: Sequence[float]) -> None:
    """At the values themselves where they are few, as many of them labelled as there is room for."""
    panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    places = sorted(set(values))
    if not places:
        return
    scale_x(panel, places)
    if len(places) > _MOST_TICKS:
        return
    width = 72 * inches - 45
    transform = panel.xaxis.get_transform()
    low, high = (float(transform.transform(end)) for end in (places[0], places[-1]))
    reach(panel, places, 0.05)
    names: list[str] = []
    free = float("-inf")
    for place in places:
        at = width * (float(transform.transform(place)) - low) / ((high - low) or 1.0)
        half = (len(f"{place:g}") + 1) * LETTER / 2
        names.append(f"{place:g}" if at - half >= free else "")
        free = at + half if names[-1] else free
    panel.xaxis.set_major_locator(FixedLocator(places))
    panel.xaxis.set_major_formatter(FixedFormatter(names))
    panel.xaxis.set_minor_locator(NullLocator())


def _on_axis(cell: CellResult, axis: Axis) -> bool:
    return axis.x in cell.cell.settings and axis.group in cell.cell.settings


def _x(cell: CellResult, axis: Axis) -> float:
    return float(cell.cell.settings[axis.x])
