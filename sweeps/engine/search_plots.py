"""The pictures of a search, as wide as one or two columns of a paper, each as PNG and as PDF.

Optuna draws slices and contours too, but on figures of its own with a style that it sets for the whole process, in
which the paper's setting cannot be marked; and its contours go beyond the points that were tried.
"""

import io
from collections.abc import Callable, Mapping
from typing import Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from search_spaces.space import Cost
from sweeps.engine.plot_style import STYLE
from sweeps.engine.search_lessons import Lessons
from sweeps.engine.search_plot_contour import contour
from sweeps.engine.search_plot_importance import importance
from sweeps.engine.search_plot_points import front, history, slices

_DPI = 300


def draw_search(lessons: Lessons, cost: Cost | None) -> dict[str, bytes]:
    """By file name. A picture for which there are too few points is left out. Equal lessons give equal bytes.

    Points that were stopped early are drawn in the history alone, as crosses.
    """
    made: Mapping[str, Callable[[], Figure | None]] = {
        "history": lambda: history(lessons),
        "slice": lambda: slices(lessons),
        "contour": lambda: contour(lessons),
        "importance": lambda: importance(lessons.importances),
        "pareto": lambda: None if cost is None else front(lessons, cost),
    }
    files: dict[str, bytes] = {}
    for name, draw in made.items():
        with rc_context(STYLE):
            figure = draw()
            if figure is not None:
                files[f"{name}.png"], files[f"{name}.pdf"] = _bytes(figure, "png"), _bytes(figure, "pdf")
    return files


def _bytes(figure: Figure, kind: Literal["png", "pdf"]) -> bytes:
    FigureCanvasAgg(figure)
    out = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None, "Creator": None}
    figure.savefig(out, format=kind, dpi=_DPI, metadata=metadata)
    return out.getvalue()
