"""The papers' printed numbers, as package data: one CSV file per table in ``tables``, all tables in ``index.csv``."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Literal

from fsar_core.frozen import Frozen
from search_spaces.table import Published, Setting

Metric = Literal["accuracy", "accuracy_gain", "params", "flops", "latency", "tuples", "flops_overhead"]
Settings = dict[str, Setting | tuple[int, ...] | None]


class PrintedCell(Frozen):
    """One printed number, with the settings it was measured under in neutral terms."""

    row: str
    dataset: str
    """As the papers call it, of the test episodes."""
    way: int | None
    shot: int | None
    metric: Metric
    value: str
    """The printed digits."""
    unit: str
    settings: Settings
    """Of the paper's own results all that its configuration says; ``eval_*`` concern the test alone."""
    method: str
    """That the row reports, in one spelling for all papers."""
    own: bool
    """Made by the paper itself; False: copied from earlier work."""
    doubt: str
    """Why the number may be wrong; mostly empty."""

    def is_own_accuracy(self) -> bool:
        """Whether a training of ours can stand beside it."""
        return self.own and self.metric == "accuracy"

    def setting(self, name: str) -> str | None:
        """As text; None where the paper does not say."""
        value = self.settings.get(name)
        return None if value is None else str(value)


class PrintedTable(Frozen):
    """A table or figure of a paper."""

    paper: str
    label: str
    """``table5``, ``fig21``, ``text``."""
    title: str
    kind: Literal["sota", "ablation", "analysis", "complexity"]
    varies: tuple[str, ...]
    """What the rows or columns vary."""
    note: str
    cells: tuple[PrintedCell, ...]

    @property
    def name(self) -> str:
        return f"{self.paper}/{self.label}"

    def own_accuracies(self) -> tuple[PrintedCell, ...]:
        return tuple(cell for cell in self.cells if cell.is_own_accuracy())

    def published(self, cell: PrintedCell) -> Published:
        """An accuracy of this table with its source."""
        return Published(
            percent=float(cell.value),
            dataset=cell.dataset,
            source=self.source(),
            trained=cell.setting("train_dataset"),
            backbone=cell.setting("backbone"),
        )

    def source(self) -> str:
        """``SGTM, table 3``."""
        return f"{self.paper.upper()}, {self.label.replace('table', 'table ').replace('fig', 'fig. ')}"


@cache
def printed_tables() -> dict[str, PrintedTable]:
    """By name, those with printed numbers, paper by paper."""
    return {table.name: table for table in _tables()}


def _tables() -> Iterator[PrintedTable]:
    for line in _lines("index.csv"):
        if int(line["n_cells"]):
            yield PrintedTable.model_validate(
                {
                    "paper": line["paper"],
                    "label": line["table"],
                    "title": line["title"],
                    "kind": line["kind"],
                    "varies": tuple(part.strip() for part in line["what_varies"].split(";")),
                    "note": line["notes"],
                    "cells": tuple(map(_cell, _lines("tables", f"{line['paper']}_{line['table']}.csv"))),
                }
            )


def _lines(*path: str) -> list[dict[str, str]]:
    text = files("search_spaces").joinpath("papers", *path).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _cell(line: dict[str, str]) -> PrintedCell:
    return PrintedCell.model_validate(
        {
            "row": line["row"],
            "dataset": line["dataset"],
            "way": int(line["way"]) if line["way"] else None,
            "shot": int(line["shot"]) if line["shot"] else None,
            "metric": line["metric"],
            "value": line["value"],
            "unit": line["unit"],
            "settings": {name: _plain(value) for name, value in json.loads(line["settings"]).items()},
            "method": line["source_method"],
            "own": line["is_own_result"] == "true",
            "doubt": line["note"],
        }
    )


def _plain(value: Setting | list[int] | None) -> Setting | tuple[int, ...] | None:
    return tuple(value) if isinstance(value, list) else value
