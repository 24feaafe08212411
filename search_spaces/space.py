"""A space is a plain function from an Optuna trial to a run, with the points that every search of it tries first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe


@dataclass(frozen=True, kw_only=True)
class Space:
    """Define-by-run: conditions are plain ``if``. Val accuracy of the run is the objective."""

    name: str
    define: Callable[[BaseTrial, Recipe], RunConfig]
    first: tuple[Mapping[str, str | int | float | bool], ...] = ()
    """The paper's settings."""
