"""Where a printed number was trained and tested, in our names, and what its column is called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search_spaces.papers.printed import PrintedCell
from search_spaces.published import PRINTED_NAMES

_SHORT_CLIPS = {"SSv2-3s": 3.0, "SSv2-5s": 5.0}
"""Test subsets of SSv2-Full: the longest clip in seconds (I2ST, table 9)."""

OUR_NAMES = {printed: ours for ours, printed in PRINTED_NAMES.items()} | dict.fromkeys(_SHORT_CLIPS, "ssv2_full")
"""Our data sets by what the tables call them."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The data of one number."""

    trained: str
    tested: str
    max_seconds: float | None
    """Of the test clips; None: all."""


def place(cell: PrintedCell, substitute: str | None) -> Place:
    """``substitute`` stands for every data set of the papers. Subsets by length stay subsets."""
    trained = substitute or OUR_NAMES[str(cell.settings["train_dataset"])]
    tested = substitute or OUR_NAMES[cell.dataset]
    return Place(trained=trained, tested=tested, max_seconds=_SHORT_CLIPS.get(cell.dataset))


def is_cross_data(cell: PrintedCell) -> bool:
    """Tested on classes of another data set than it was trained on, in the paper."""
    return OUR_NAMES[str(cell.settings["train_dataset"])] != OUR_NAMES[cell.dataset]


def columns(cells: Sequence[PrintedCell], *, with_dataset: bool) -> list[str]:
    """Of every cell: data set, way and shot, those that are the same in all cells left out, but the shot never."""
    datasets = _differ(cell.dataset for cell in cells)
    ways = _differ(cell.way for cell in cells)
    names: list[str] = []
    for cell in cells:
        parts = [cell.dataset] if with_dataset and datasets else []
        parts += [f"{cell.way}-way"] if ways else []
        names.append(" ".join([*parts, f"{cell.shot}-shot"]))
    return names


def _differ(values: Iterable[object]) -> bool:
    return len(set(values)) > 1
