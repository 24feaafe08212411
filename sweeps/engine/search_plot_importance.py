"""Importance of the parameters with its intervals, by both measures, a panel per branch of the space."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeps.engine.plot_style import COLOURS, MARKERS, ONE_COLUMN, label, legend
from sweeps.engine.search_importance import MEASURES, BranchImportance

_ROW = 0.27
"""Inches of a parameter."""
_AROUND = 0.34
"""Inches of a panel's title and edges."""
_BESIDE = 0.18
"""Rows between the two measures."""


def importance(branches: Sequence[BranchImportance]) -> Figure | None:
    """None where nothing can be said of any branch."""
    shown = [branch for branch in branches if branch.importances]
    if not shown:
        return None
    rows = [len(branch.parameters()) for branch in shown]
    height = 0.4 + sum(_ROW * count + _AROUND for count in rows)
    figure = Figure(figsize=(ONE_COLUMN, height), layout="constrained")
    places = figure.subplots(len(shown), 1, squeeze=False, sharex=True, height_ratios=[n + 0.3 for n in rows])
    panels: list[Axes] = list(places.flat)
    for panel, branch in zip(panels, shown, strict=True):
        _draw(panel, branch)
    panels[-1].set_xlabel("share of importance, 95 % interval")
    legend(figure, panels[:1], ONE_COLUMN)
    return figure


def _draw(panel: Axes, branch: BranchImportance) -> None:
    names = branch.parameters()
    for i, measure in enumerate(MEASURES):
        for one in branch.of(measure):
            row = names.index(one.parameter) + _BESIDE * (2 * i - 1)
            panel.plot([one.low, one.high], [row, row], color=COLOURS[i], linewidth=1.1)
        shares = [one.share for one in branch.of(measure)]
        rows = [names.index(one.parameter) + _BESIDE * (2 * i - 1) for one in branch.of(measure)]
        panel.plot(shares, rows, MARKERS[i], color=COLOURS[i], markersize=4, label=measure)
    panel.set_yticks(range(len(names)), [label(name) for name in names])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_xlim(-0.02, 1.02)
    panel.grid(visible=False, axis="y")
    where = branch.where or "all points"
    panel.set_title(label(f"{where}: {branch.points} finished", 44), loc="left")
