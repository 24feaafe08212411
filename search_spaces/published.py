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
    settings: dict[str, Setting | None]

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


def _printed(row: dict[str, str]) -> Printed:
    return Printed(
        paper=row["paper"],
        table=row["table"].replace("table", "table "),
        row=row["row"],
        dataset=row["dataset"],
        way=int(row["way"]),
        shot=int(row["shot"]),
        percent=float(row["value"]),
        settings=json.loads(row["settings"]),
    )
