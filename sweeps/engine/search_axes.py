"""A parameter as an axis: numbers where they lie, choices side by side, a logarithm where the search drew so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from sweeps.engine.plot_style import label
from sweeps.engine.search_lessons import value_text

_NAME = 14
"""Characters of a choice in a line."""
_LINE = 24
"""Characters of all choices side by side."""
_FEW = 9
"""Whole numbers that all get a tick."""


@dataclass(frozen=True)
class ParameterAxis:
    """Where the values of one parameter lie."""

    name: str
    choices: tuple[object, ...]
    """In the order of the space; empty for numbers."""
    log: bool
    whole: bool

    def place(self, trial: FrozenTrial) -> float:
        """On the axis."""
        value = trial.params[self.name]
        return float(self.choices.index(value) if self.choices else value)

    def set_on(self, panel: Axes, side: Literal["x", "y"], places: Sequence[float]) -> None:
        """Scale, ticks and name. ``places``: all that are drawn."""
        axis = panel.xaxis if side == "x" else panel.yaxis
        (panel.set_xlabel if side == "x" else panel.set_ylabel)(self.name)
        if self.choices:
            axis.set_major_locator(FixedLocator(list(range(len(self.choices)))))
            names = [label(value_text(choice), _NAME) for choice in self.choices]
            crowded = side == "x" and len(names) * (1 + max(map(len, names))) > _LINE
            turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if crowded else {}
            (panel.set_xticklabels if side == "x" else panel.set_yticklabels)(names, **turned)
            (panel.set_xlim if side == "x" else panel.set_ylim)(-0.5, len(self.choices) - 0.5)
        elif self.log:
            (panel.set_xscale if side == "x" else panel.set_yscale)("log")
            axis.set_major_locator(LogLocator(numticks=5))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_locator(NullLocator())
        elif self.whole and len(set(places)) <= _FEW:
            axis.set_major_locator(FixedLocator(sorted(set(places))))
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=self.whole))


def axis_of(name: str, trials: Sequence[FrozenTrial]) -> ParameterAxis:
    """``trials``: those that have the parameter, at least one."""
    found = [trial.distributions[name] for trial in trials]
    first = found[0]
    if isinstance(first, CategoricalDistribution):
        known = (choice for one in found if isinstance(one, CategoricalDistribution) for choice in one.choices)
        tried = {trial.params[name] for trial in trials}
        return ParameterAxis(name, tuple(c for c in dict.fromkeys(known) if c in tried), log=False, whole=False)
    log = isinstance(first, FloatDistribution | IntDistribution) and first.log
    return ParameterAxis(name, (), log=log, whole=isinstance(first, IntDistribution))
