"""Accuracy over pairs of the most important parameters."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from sweeps.engine.plot_style import COLOURS, legend, make_panels, shape
from sweeps.engine.search_axes import ParameterAxis, axis_of
from sweeps.engine.search_lessons import Lessons
from sweeps.engine.search_plot_points import ON_VAL, PAPER, by_importance
from sweeps.engine.search_study import accuracy

_PARAMETERS = 3
_LEAST, _SURFACE = 4, 6
"""Points of a pair, and places of those between which colour is drawn."""
_COLOURS = "cividis"
"""Even in grey and for every kind of colour vision."""
_FLAT = 1e-6
"""Of triangles: height against length, both as shares of the panel."""
_LEVELS = 9
_PANEL = 2.3
"""Inches."""


def contour(lessons: Lessons) -> Figure | None:
    """Pairs of the three most important parameters that enough points have. Between two numbers the colour is drawn
    between the points alone, never beyond them; with choices there is nothing between them, and points are shown."""
    results = lessons.results()
    varying = [name for name in by_importance(lessons) if _varies(name, results)][:_PARAMETERS]
    pairs = [(one, two, having) for one, two in combinations(varying, 2) if len(having := _with(one, two, results))]
    pairs = [pair for pair in pairs if len(pair[2]) >= _LEAST and all(_varies(name, pair[2]) for name in pair[:2])]
    if not pairs:
        return None
    drawn = [100 * accuracy(trial) for *_, having in pairs for trial in having]
    scale = Normalize(min(drawn), max(drawn))
    grid = shape(len(pairs), most=3)
    figure = Figure(figsize=(grid.width, _PANEL), layout="constrained")
    panels = make_panels(figure, len(pairs), grid)
    for panel, (one, two, having) in zip(panels, pairs, strict=True):
        _draw(panel, axis_of(one, having), axis_of(two, having), having, scale, lessons)
    legend(figure, panels, grid.width)
    figure.colorbar(ScalarMappable(scale, _COLOURS), ax=panels, label=ON_VAL, pad=0.02)
    return figure


def _varies(name: str, results: Sequence[FrozenTrial]) -> bool:
    return len({trial.params[name] for trial in results if name in trial.params}) > 1


def _with(one: str, two: str, results: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The best last, on top of the others."""
    return [trial for trial in reversed(results) if one in trial.params and two in trial.params]


def _draw(
    panel: Axes, x: ParameterAxis, y: ParameterAxis, trials: Sequence[FrozenTrial], scale: Normalize, lessons: Lessons
) -> None:
    across, up = ([axis.place(trial) for trial in trials] for axis in (x, y))
    values = [100 * accuracy(trial) for trial in trials]
    if not x.choices and not y.choices:
        _surface(panel, _scaled(across, x), _scaled(up, y), np.array(values), scale, (x, y))
    panel.scatter(across, up, c=values, cmap=_COLOURS, norm=scale, s=14, edgecolors="black", linewidths=0.5, zorder=3)
    paper = lessons.paper
    if paper is not None and x.name in paper.params and y.name in paper.params:
        hollow: dict[str, Any] = {"mfc": "none", "mec": COLOURS[1], "markersize": 8, "mew": 1.2}
        panel.plot([x.place(paper)], [y.place(paper)], "D", **hollow, linestyle="none", zorder=4, label=PAPER)
    panel.use_sticky_edges = False
    panel.margins(0.06)
    x.set_on(panel, "x", across)
    y.set_on(panel, "y", up)
    panel.grid(visible=False)


def _scaled(places: Sequence[float], axis: ParameterAxis) -> NDArray[np.float64]:
    return np.log10(places) if axis.log else np.array(places)


def _surface(
    panel: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    values: NDArray[np.float64],
    scale: Normalize,
    axes: tuple[ParameterAxis, ParameterAxis],
) -> None:
    """Over a triangulation of the points; those at one place count with their mean."""
    unique, inverse = np.unique(np.stack([x, y], axis=1), axis=0, return_inverse=True)
    spread = np.ptp(unique, axis=0)
    if len(unique) < _SURFACE or not spread.all():
        return
    even = (unique - unique.min(axis=0)) / spread
    if np.linalg.svd(even - even.mean(axis=0), compute_uv=False)[-1] < _FLAT:
        return
    means = np.bincount(inverse.ravel(), values) / np.bincount(inverse.ravel())
    triangles = Triangulation(even[:, 0], even[:, 1]).triangles
    across, up = (10**column if axis.log else column for column, axis in zip(unique.T, axes, strict=True))
    mesh = Triangulation(across, up, triangles)
    levels = np.linspace(scale.vmin or 0.0, scale.vmax or 0.0, _LEVELS + 1)
    panel.tricontourf(mesh, means, levels=levels, cmap=_COLOURS, norm=scale, alpha=0.85, extend="both")
