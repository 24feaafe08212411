"""A table is an ordered set of cells; a cell is one number: a run, an evaluation, and the printed value if any."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Self

from pydantic import Field, ValidationError, model_validator

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.frozen import Frozen
from fsar_core.presets import Recipe

Setting = str | int | float | bool

RecipeOf = Callable[[str], Recipe]
"""The recipe for a training data set, by our name."""


class TableError(ValueError):
    """All that keeps a table from being made, one line per fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


def said(error: ValueError) -> str:
    """An error as one line of a fault: of pydantic's, only what each of its findings says."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors(include_url=False))


def is_backbone(label: str, printed: str) -> bool:
    """Whether a network of ours is the one that a paper names; case and punctuation do not count, and papers leave out
    what there is only one of: ``ViT`` for ``ViT-B/16``."""
    ours, theirs = ("".join(c for c in name.casefold() if c.isalnum()) for name in (label, printed))
    return ours.startswith(theirs)


class Published(Frozen):
    """A printed accuracy, and where it stands."""

    percent: float = Field(ge=0, le=100)
    dataset: str
    """As the paper calls it."""
    source: str
    """Paper and table, e.g. ``SGTM, table 3``."""
    trained: str | None = None
    """The training data set, as the paper calls it; None: that of the test."""
    backbone: str | None = None
    """As the paper calls it; None where it does not say."""


class Cell(Frozen):
    """One number of a table, for any seed: ``run`` carries seed 0."""

    row: str
    column: str
    settings: dict[str, Setting]
    """What the row varies, in the field's words."""
    run: RunConfig
    evaluation: EvalConfig
    published: tuple[Published, ...] = ()
    """Printed values: several where one training here stands for several data sets of a paper."""


class Axis(Frozen):
    """How a table is drawn: a line per value of ``group`` over ``x``; rows without ``x`` are level lines."""

    x: str
    """A numeric setting."""
    x_label: str
    group: str
    """A setting with a few values."""
    panel: str | None = None
    """A setting with a panel for each value. None: a panel per column."""


class Scatter(Frozen):
    """How a table of costs is drawn: accuracy over what a method costs, a point per row."""

    x: str
    """A numeric setting: parameters in millions, GFLOPs, seconds."""
    x_label: str


class Table(Frozen):
    """Rows and columns in the order of their first cell."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_/]*$")
    """Also the name of its experiment."""
    title: str
    cells: tuple[Cell, ...] = Field(min_length=1)
    axis: Axis | Scatter | None = None
    """None: bars."""
    reference: str | None = None
    """The row that others are compared with, pairwise, on the same episodes."""
    notes: tuple[str, ...] = ()
    """What a reader must know of these numbers: doubts, cells that cannot be run and why. Stand below the table."""

    @model_validator(mode="after")
    def _one_cell_a_place(self) -> Self:
        places = Counter((cell.row, cell.column) for cell in self.cells)
        doubled = sorted(place for place, count in places.items() if count > 1)
        if doubled:
            raise ValueError(f"each (row, column) once; twice there are {doubled}")
        if self.reference is not None and self.reference not in self.rows():
            raise ValueError(f"reference must be one of the rows {self.rows()}, got {self.reference!r}")
        return self

    def rows(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.column for cell in self.cells))
