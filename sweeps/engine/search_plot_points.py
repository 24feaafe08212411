"""Accuracy over the order of trials, over each parameter, and over the cost."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from search_spaces.space import Cost
from sweeps.engine.plot_labels import Named, place_labels
from sweeps.engine.plot_style import COLOURS, FONT, ONE_COLUMN, legend, make_panels, shape
from sweeps.engine.search_axes import axis_of
from sweeps.engine.search_costs import cost_label
from sweeps.engine.search_lessons import Lessons
from sweeps.engine.search_study import accuracy, cost_of

ON_VAL = "accuracy on val (%)"
PAPER = "paper's setting"
_POINT, _PAPER, _BEST = COLOURS[0], COLOURS[1], COLOURS[2]
_HEIGHT = 2.2
"""Inches of a panel."""
_MOST_PANELS = 12
_ON_LINE = 12
"""Places on a step of the front."""


def history(lessons: Lessons) -> Figure | None:
    """Finished points, the best so far, and what stopped ones had at their last look."""
    in_order = sorted(lessons.results(), key=lambda trial: trial.number)
    if not in_order:
        return None
    figure = Figure(figsize=(ONE_COLUMN, _HEIGHT), layout="constrained")
    (panel,) = make_panels(figure, 1, shape(1))
    numbers = [trial.number for trial in in_order]
    panel.step(numbers, list(accumulate(map(_percent, in_order), max)), where="post", color=_BEST, label="best so far")
    _scatter(panel, numbers, in_order, lessons)
    stopped = [trial for trial in lessons.points if trial.state is TrialState.PRUNED]
    if stopped:
        places = [trial.number for trial in stopped]
        values = [_percent(trial) for trial in stopped]
        panel.plot(places, values, "x", color="0.5", markersize=3, label="stopped early, at its last look")
    panel.set_xlabel("trial")
    panel.set_ylabel(ON_VAL)
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend(figure, [panel], ONE_COLUMN)
    return figure


def slices(lessons: Lessons) -> Figure | None:
    """A panel per parameter, the most important first; a parameter of a branch over the points that have it."""
    results = lessons.results()
    names = [name for name in by_importance(lessons) if any(name in trial.params for trial in results)][:_MOST_PANELS]
    if not names:
        return None
    grid = shape(len(names))
    figure = Figure(figsize=(grid.width, 0.2 + _HEIGHT * grid.rows), layout="constrained")
    panels = make_panels(figure, len(names), grid, share_rows=True)
    for panel, name in zip(panels, names, strict=True):
        having = [trial for trial in results if name in trial.params]
        axis = axis_of(name, having)
        places = [axis.place(trial) for trial in having]
        _scatter(panel, places, having, lessons)
        axis.set_on(panel, "x", places)
        if len(having) < len(results):
            panel.set_title(f"{len(having)} of {len(results)} points have it")
    for panel in panels[:: grid.columns]:
        panel.set_ylabel(ON_VAL)
    legend(figure, panels, grid.width)
    return figure


def front(lessons: Lessons, cost: Cost) -> Figure | None:
    """Finished points over their cost, the Pareto front as a line with the numbers of its trials."""
    priced = [trial for trial in lessons.results() if cost_of(trial) is not None]
    if not priced:
        return None
    figure = Figure(figsize=(ONE_COLUMN, _HEIGHT + 0.2), layout="constrained")
    (panel,) = make_panels(figure, 1, shape(1))
    steps = [_cost(trial) for trial in lessons.front]
    values = [_percent(trial) for trial in lessons.front]
    panel.step(steps, values, where="post", color=_BEST, label="Pareto front, with numbers of trials")
    _scatter(panel, [_cost(trial) for trial in priced], priced, lessons)
    panel.set_xlabel(cost_label(cost))
    panel.set_ylabel(ON_VAL)
    panel.margins(0.08)
    legend(figure, [panel], ONE_COLUMN)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    named = [Named(_cost(trial), _percent(trial), 0.0, str(trial.number)) for trial in lessons.front]
    taken = [(_cost(trial), _percent(trial)) for trial in priced]
    place_labels(panel, named, [*taken, *_along(steps, values)], FONT)
    return figure


def _along(steps: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Places on the front's line, so that no number covers it."""
    corners = list(zip(steps, values, strict=True))
    found: list[tuple[float, float]] = []
    for (x, y), (next_x, next_y) in pairwise(corners):
        shares = [i / _ON_LINE for i in range(_ON_LINE + 1)]
        found += [(x + share * (next_x - x), y) for share in shares]
        found += [(next_x, y + share * (next_y - y)) for share in shares]
    return found


def by_importance(lessons: Lessons) -> tuple[str, ...]:
    """All parameters: those of the measured branches first, from the most important down in each."""
    ranked = [name for branch in lessons.importances for name in branch.parameters()]
    return tuple(dict.fromkeys((*ranked, *lessons.parameters())))


def _scatter(panel: Axes, places: Sequence[float], trials: Sequence[FrozenTrial], lessons: Lessons) -> None:
    """Finished points; the paper's setting on top in a colour and a shape of its own."""
    paper = None if lessons.paper is None else lessons.paper.number
    pairs = list(zip(places, trials, strict=True))
    others = [(place, _percent(trial)) for place, trial in pairs if trial.number != paper]
    if others:
        x, y = zip(*others, strict=True)
        panel.plot(x, y, "o", color=_POINT, markersize=3.6, alpha=0.75, mew=0, label="finished point")
    for place, trial in pairs:
        if trial.number == paper:
            panel.plot([place], [_percent(trial)], "D", color=_PAPER, markersize=5, label=PAPER, zorder=4)


def _percent(trial: FrozenTrial) -> float:
    return 100 * accuracy(trial)


def _cost(trial: FrozenTrial) -> float:
    value = cost_of(trial)
    assert value is not None
    return value
