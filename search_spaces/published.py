"""The papers' printed numbers, as package data: one CSV file per table in ``papers/tables``."""

import csv
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from fsar_core.frozen import Frozen
from search_spaces.table import Published, Setting


class Printed(Frozen):
    """One printed accuracy with the settings it was measured under, in neutral terms."""

    paper: str
    table: str
    row: str
    dataset: str
    way: int
    shot: int
    percent: float
    settings: dict[str, Setting | tuple[int, ...] | None]
    method: str
    """That the row reports, in one spelling for all papers."""

    def as_published(self) -> Published:
        backbone = self.settings.get("backbone")
        return Published(
            percent=self.percent,
            dataset=self.dataset,
            source=f"{self.paper.upper()}, {self.table}",
            backbone=None if backbone is None else str(backbone),
        )


@cache
def printed(name: str) -> tuple[Printed, ...]:
    """The accuracies of one table, e.g. ``sgtm_table3``. Raises FileNotFoundError for a table that is not shipped."""
    text = files("search_spaces").joinpath("papers", "tables", f"{name}.csv").read_text(encoding="utf-8")
    return tuple(_printed(row) for row in csv.DictReader(text.splitlines()) if row["metric"] == "accuracy")


def find(tables: tuple[str, ...], dataset: str, shot: int, settings: Mapping[str, Setting | None]) -> Published | None:
    """The first printed 5-way value on ``dataset`` whose settings include ``settings``, or None."""
    for table in tables:
        for cell in printed(table):
            same = all(cell.settings.get(name) == value for name, value in settings.items())
            if (cell.dataset, cell.way, cell.shot) == (dataset, 5, shot) and same:
                return cell.as_published()
    return None


def of_method(method: str, dataset: str, shot: int, backbone: str) -> Published | None:
    """The first printed 5-way value of a method, as the papers call it, on one of our data sets; None: none is known.

    A row that does not name its backbone is taken for a ResNet-50, as these papers say in their texts.
    """
    for table in _COMPARISONS:
        for cell in printed(table):
            place = (cell.method, cell.dataset, cell.way, cell.shot, cell.settings.get("backbone", "ResNet-50"))
            if place == (method, _NAMES.get(dataset), 5, shot, backbone):
                return cell.as_published()
    return None


_COMPARISONS = ("strm_table1", "sgtm_table1", "sgtm_table2")
"""Tables that compare methods; what stands in an earlier one counts."""

_NAMES = {
    "hmdb51": "HMDB51",
    "ucf101": "UCF101",
    "kinetics100": "Kinetics",
    "ssv2_small": "SSv2-Small",
    "ssv2_full": "SSv2-Full",
}
"""What the tables call our data sets."""


def _printed(row: dict[str, str]) -> Printed:
    return Printed(
        paper=row["paper"],
        table=row["table"].replace("table", "table "),
        row=row["row"],
        dataset=row["dataset"],
        way=int(row["way"]),
        shot=int(row["shot"]),
        percent=float(row["value"]),
        settings={name: _plain(value) for name, value in json.loads(row["settings"]).items()},
        method=row["source_method"],
    )


def _plain(value: Setting | list[int] | None) -> Setting | tuple[int, ...] | None:
    return tuple(value) if isinstance(value, list) else value
