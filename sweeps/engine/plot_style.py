"""What all figures share: sizes of print, colours and markers that grey print keeps apart, panels, headings, legend."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from search_spaces.table import Setting
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.selection_words import SHORT, chosen_on_test, marked

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: told apart by every kind of colour vision."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
PRINTED = "printed"
ONE_COLUMN, TWO_COLUMNS = 3.35, 6.9
"""Widths in inches, of a column and of a page of a paper."""
MOST_PANELS = 4
"""In a row."""
FONT = 7.0
"""Points, of the smallest text."""
LETTER = 0.53 * FONT
"""Points, of a letter's usual width."""
STYLE: dict[RcKeyType, Any] = {
    "font.size": FONT, "axes.titlesize": 7.5, "axes.labelsize": FONT, "legend.fontsize": FONT, "xtick.labelsize": FONT,
    "ytick.labelsize": FONT, "figure.labelsize": FONT,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "0.9", "grid.linewidth": 0.5,
    "axes.axisbelow": True, "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "pdf.fonttype": 42, "text.parse_math": False, "lines.markersize": 3.6, "lines.linewidth": 1.1,
    "legend.frameon": False, "legend.handlelength": 2.6,
}  # fmt: skip
_LABEL_LINE = 26
_LEGEND_LINE = 42
_DECADE = 10.0


class Shape(NamedTuple):
    """Of a grid of panels."""

    rows: int
    columns: int

    @property
    def width(self) -> float:
        """Inches."""
        return ONE_COLUMN if self.columns == 1 else TWO_COLUMNS


def shape(panels: int, most: int = MOST_PANELS) -> Shape:
    """As few rows as ``most`` panels a row allow, filled evenly."""
    rows = math.ceil(panels / most)
    return Shape(rows, math.ceil(panels / rows))


def make_panels(figure: Figure, count: int, grid: Shape, *, share_rows: bool = False) -> list[Axes]:
    """From left to right, then down; places that are left over stay empty."""
    places = figure.subplots(grid.rows, grid.columns, squeeze=False, sharey=share_rows).flat
    panels = list(places)
    for empty in panels[count:]:
        empty.remove()
    return panels[:count]


def head(panel: Axes, name: str, cells: Sequence[CellResult], lacking: Iterable[str] = ()) -> None:
    """The panel's title, with how many of its cells are not drawn and why."""
    missing = sum(cell.state != "done" for cell in cells)
    why = [f"{missing} of {len(cells)} not finished"] if missing else []
    why += lacking
    panel.set_title("\n".join([name, f"({', '.join(why)})"] if why else [name]))


def measure(result: TableResult) -> str:
    """What the accuracy axis shows."""
    datasets = dict.fromkeys(cell.dataset for cell in result.cells)
    text = f"accuracy on {', '.join(datasets)} (%)" if len(datasets) < 3 else "accuracy (%)"
    return f"{text}\n{SHORT}" if any(chosen_on_test(cell.cell.run) for cell in result.cells) else text


def legend(figure: Figure, panels: Iterable[Axes], width: float) -> None:
    """One for all panels, above them, for which the figure grows: lines first, then levels, then printed values.

    ``width`` in inches.
    """
    entries = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    order = sorted(entries, key=lambda name: (name.endswith(PRINTED), not isinstance(entries[name], ErrorbarContainer)))
    if entries:
        room = max(map(len, order)) * LETTER + 36
        columns = min(len(order), max(1, int(72 * width / room)))
        lines = -(-len(order) // columns)
        figure.set_figheight(figure.get_figheight() + 1.45 * FONT / 72 * lines + 0.06)
        figure.legend([entries[name] for name in order], order, loc="outside upper center", ncols=columns)


def label(row: str, line: int = _LABEL_LINE) -> str:
    """A row's name in two lines at most; of a longer one, beginning and end, by which rows differ."""
    lines = textwrap.wrap(row, line)
    if len(lines) > 2:
        lines = [lines[0], f"… {_end(row, line - 2)}"]
    return "\n".join(lines)


def short(row: str, letters: int = _LEGEND_LINE) -> str:
    """A row's name in one line, shortened in the middle."""
    half = letters // 2
    return row if len(row) <= letters else f"{row[:half].rpartition(' ')[0] or row[:half]} … {_end(row, half)}"


def _end(row: str, letters: int) -> str:
    """From the beginning of a word, if there is one."""
    end = row[-letters - 1 :]
    return end.partition(" ")[2] or end[1:]


def marked_row(name: str, cells: Iterable[CellResult]) -> str:
    """Of a line or a row, as soon as one of its numbers needs the mark."""
    return next((marked(name, cell.cell.run) for cell in cells if chosen_on_test(cell.cell.run)), name)


def percent(cell: CellResult) -> float:
    """NaN, which draws nothing, for an unfinished cell."""
    return math.nan if cell.state != "done" or cell.accuracy is None else 100 * cell.accuracy


def ci95(cell: CellResult) -> float:
    """Half width, in points."""
    return 100 * (cell.ci95 or 0.0)


def text(value: Setting) -> str:
    """A setting as people write it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def scale_x(panel: Axes, values: Iterable[float]) -> None:
    """Logarithmic where the values span more than a decade; with a zero among them, linear below the smallest other."""
    low, *_ = values = sorted(set(values))
    above = [value for value in values if value > 0]
    if low < 0 or not above or above[-1] <= _DECADE * above[0]:
        return
    if low == 0:
        panel.set_xscale("symlog", linthresh=above[0], linscale=0.6)
    else:
        panel.set_xscale("log")
    panel.minorticks_off()


def reach(panel: Axes, values: Iterable[float], around: float) -> None:
    """Sets the x axis from the smallest to the largest value, and so much of that span more on either side."""
    transform = panel.xaxis.get_transform()
    places = sorted(float(transform.transform(value)) for value in values)
    low, high = places[0], places[-1]
    if high > low:
        more = around * (high - low)
        panel.set_xlim(*(float(transform.inverted().transform(end)) for end in (low - more, high + more)))
