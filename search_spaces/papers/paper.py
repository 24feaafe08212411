"""What a module of this folder says about its paper: how the settings of a printed number become a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fsar_core.config import RunConfig
from fsar_core.method import MethodConfig
from fsar_core.presets import Recipe
from search_spaces.table import Setting

Knobs = Mapping[str, Setting | tuple[int, ...] | None]
"""The settings of a printed number. A name that is not there is not stated by the paper."""


class RefusedError(Exception):
    """A printed number that cannot be run here. The text says why, for a reader of the table."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a printed number needs."""

    run: RunConfig
    measured: MethodConfig | None = None
    """The method of the test where it is not the trained one: parts removed, fewer tuples."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper whose tables can be run again."""

    name: str
    """``sgtm``, as its tables are named."""
    title: str
    source: str
    resolve: Callable[[Knobs, Recipe], Resolved]
    """The recipe is that of the training data set, with the trained number of shots. Raises RefusedError."""
