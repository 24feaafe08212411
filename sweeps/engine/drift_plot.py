"""The accuracy of a table's cells by rerun, with the band of the newest."""

import io
import math
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeps.engine.drift_report import DriftCell
from sweeps.engine.plot_style import COLOURS, STYLE, label, legend, make_panels, shape
from sweeps.engine.reruns import slot_moment

MOST_CELLS = 12
"""Panels; cells beyond are those closest to the middle of their band."""
_DPI = 200
_BLUE, _RED, _GREEN, _ORANGE, _BLACK = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[4], COLOURS[6]
_NEWEST = {
    "fine": (_BLUE, "o"),
    "better": (_GREEN, "^"),
    "suspicious": (_ORANGE, "v"),
    "regression": (_RED, "v"),
    "insufficient data": (_BLACK, "o"),
}


def draw(cells: Sequence[DriftCell]) -> bytes:
    """PNG, a panel per cell. Equal reports give equal bytes. Filled: reruns that later ones are compared with; a cross:
    those that had left the band."""
    shown = _shown(cells)
    with rc_context(STYLE):
        grid = shape(len(shown))
        figure = Figure(figsize=(grid.width, 0.35 + 1.35 * grid.rows), layout="constrained")
        panels = make_panels(figure, len(shown), grid)
        slots = sorted({point.slot for cell in shown for point in cell.series})
        for panel, cell in zip(panels, shown, strict=True):
            _series(panel, cell, slots)
        for panel in panels[:: grid.columns]:
            panel.set_ylabel("accuracy (%)")
        first, last = (slot_moment(slots[end]) for end in (0, -1))
        left = f"; {len(cells) - len(shown)} cells nearer to the middle of their band not drawn"
        figure.supxlabel(f"rerun, {first:%Y-%m-%d} to {last:%Y-%m-%d}{left if len(shown) < len(cells) else ''}")
        legend(figure, panels, grid.width)
        FigureCanvasAgg(figure)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()


def _shown(cells: Sequence[DriftCell]) -> list[DriftCell]:
    chosen = sorted(cells, key=_apart, reverse=True)[:MOST_CELLS]
    return [cell for cell in cells if any(cell is own for own in chosen)]


def _apart(cell: DriftCell) -> float:
    """Distance from the middle, in half widths of the band."""
    if cell.centre is None or cell.low is None or cell.high is None or cell.high <= cell.low:
        return -1.0
    return abs(cell.value - cell.centre) / ((cell.high - cell.low) / 2)


def _series(panel: Axes, cell: DriftCell, slots: Sequence[str]) -> None:
    places = [slots.index(point.slot) + 1 for point in cell.series]
    means = [100 * point.mean for point in cell.series]
    earlier = list(zip(places, means, cell.series, strict=True))[:-1]
    if cell.centre is not None and cell.low is not None and cell.high is not None:
        panel.axhspan(100 * cell.low, 100 * cell.high, color=_BLUE, alpha=0.13, lw=0, label="band")
        panel.axhline(100 * cell.centre, color=_BLUE, lw=0.6, ls=(0, (4, 3)))
    panel.plot(places, means, color="0.6", lw=0.7)
    for counts, marker, name in ((True, "o", "earlier rerun"), (False, "x", "rerun left out")):
        own = [(x, y) for x, y, point in earlier if point.counts is counts]
        if own:
            panel.plot(*zip(*own, strict=True), ls="", marker=marker, ms=2.8, color="0.35", label=name)
    colour, marker = _NEWEST[cell.standing]
    panel.plot([places[-1]], [means[-1]], ls="", marker=marker, ms=5, color=colour, label=f"this one: {cell.standing}")
    if cell.printed is not None and _near(100 * cell.printed, means, cell):
        panel.axhline(100 * cell.printed, color=_BLACK, lw=0.6, ls=(0, (1, 2)), label="printed")
    panel.set_title(label(cell.name))
    panel.set_xlim(0.5, max(2, len(slots)) + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _near(printed: float, means: Sequence[float], cell: DriftCell) -> bool:
    """A printed value far away would press all else together."""
    ends = [*means, *(100 * end for end in (cell.low, cell.high) if end is not None)]
    reach = max(ends) - min(ends)
    return not math.isclose(reach, 0) and min(ends) - reach < printed < max(ends) + reach
