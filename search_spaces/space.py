"""A space is a plain function from an Optuna trial to a run, beside the grid that papers have of the same axes."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from optuna.trial import BaseTrial, FixedTrial

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.table import Setting, Table

Point = Mapping[str, Setting]
"""Values of a space's parameters, by name."""

Cost = Literal["gflops", "parameters", "latency"]
"""What may stand against accuracy: operations of a 5-way 1-shot test episode, parameters in tests, its milliseconds."""

COSTS: tuple[Cost, ...] = get_args(Cost)


@dataclass(frozen=True, kw_only=True)
class Space:
    """Define-by-run: conditions are plain ``if``. Val accuracy of the run is the objective."""

    name: str
    """``<question>`` or ``<question>/<method>``, e.g. ``loss_weights/sgtm``."""
    define: Callable[[BaseTrial, Recipe], RunConfig]
    first: tuple[Point, ...] = ()
    """What every search tries first: the paper's setting, then others worth a try. Empty beside ``first_of``."""
    first_of: Callable[[Recipe], tuple[Point, ...]] | None = None
    """Makes ``first`` where the paper's setting depends on the data set, or what fits depends on the recipe."""
    grid: Callable[[Recipe], Table]
    """The papers' own grid; where they have none, a small one of ours that says so."""
    grid_points: tuple[Point, ...] = ()
    """The rows of the grid that are points of this space. What is recorded of them starts a search."""
    printed: tuple[str, ...] = ()
    """The papers' tables over these axes, e.g. ``sgtm/table5``."""
    cost: Cost | None = None
    """What a search weighs against accuracy unless it is told otherwise."""

    def at(self, recipe: Recipe) -> Self:
        """The space with the ``first`` of a recipe."""
        return self if self.first_of is None else replace(self, first=self.first_of(recipe), first_of=None)

    def run(self, point: Point, recipe: Recipe) -> RunConfig:
        """The run of a point. Raises ValueError where a parameter is missing or out of range."""
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".* is out of the range of", category=UserWarning)
            try:
                return self.define(FixedTrial(dict(point)), recipe)
            except UserWarning as outside:  # of numbers Optuna only warns
                raise ValueError(str(outside)) from None
