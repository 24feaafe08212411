"""A table as a figure of the kind that it asks for, as wide as one or two columns of a paper."""

import io
from typing import Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from search_spaces.table import Axis, Scatter
from sweeps.engine.plot_bars import bars
from sweeps.engine.plot_lines import lines
from sweeps.engine.plot_scatter import scatter
from sweeps.engine.plot_style import STYLE
from sweeps.engine.results import TableResult

_DPI = 300


def draw(result: TableResult, kind: Literal["png", "pdf"]) -> bytes:
    """The whole file. Equal results give equal bytes. Unfinished cells are left out, and the titles say how many.

    Printed values are hollow, and there only where they are of the data and the backbone of ours.
    """
    with rc_context(STYLE):
        figure = _figure(result)
        FigureCanvasAgg(figure)
        out = io.BytesIO()
        metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None, "Creator": None}
        figure.savefig(out, format=kind, dpi=_DPI, metadata=metadata)
    return out.getvalue()


def _figure(result: TableResult) -> Figure:
    match result.table.axis:
        case Axis() as axis:
            return lines(result, axis)
        case Scatter() as axis:
            return scatter(result, axis)
        case None:
            return bars(result)
