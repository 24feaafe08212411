"""The papers' own accuracies resolved one by one, beside a list of the trainings that they need."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from re import fullmatch
from typing import NamedTuple, cast

from fsar_core.backbones import BackboneConfig
from fsar_core.frozen import Frozen
from fsar_core.method import MethodConfig
from fsar_core.presets import PRESETS, Recipe
from search_spaces.papers.paper import Paper, RefusedError, Resolved
from search_spaces.papers.places import OUR_NAMES
from search_spaces.papers.printed import PrintedCell, printed_tables

Variant = Callable[[BackboneConfig], MethodConfig]

_TRAININGS = Path(__file__).parent / "data" / "trainings.csv"


class Number(NamedTuple):
    """What tells one printed accuracy from another."""

    table: str
    row: str
    trained: str
    tested: str
    way: str
    shot: str
    value: str


def recipe_of(dataset: str, shot: int, preset: str = "clean") -> Recipe:
    """``dataset``: as the papers call it."""
    return PRESETS[preset](OUR_NAMES[dataset]).with_shot(shot)


def printed_cell(name: str, row: str, *, dataset: str | None = None, shot: int | None = None) -> PrintedCell:
    """The first own cell of a table that is so called."""
    return next(
        cell
        for cell in printed_tables()[name].cells
        if cell.own and cell.row == row and dataset in (None, cell.dataset) and shot in (None, cell.shot)
    )


def resolved(paper: Paper, cell: PrintedCell, preset: str = "clean") -> Resolved:
    return paper.resolve(cell.settings, recipe_of(str(cell.settings["train_dataset"]), cell.shot or 1, preset))


def walked(paper: Paper, preset: str) -> tuple[dict[Number, Resolved], dict[Number, str]]:
    """All own accuracies: what they need, and why the others are refused."""
    found: dict[Number, Resolved] = {}
    refused: dict[Number, str] = {}
    for number, cell in _own(paper.name):
        try:
            found[number] = resolved(paper, cell, preset)
        except RefusedError as error:
            refused[number] = str(error)
    return found, refused


def sharing(found: Mapping[Number, Resolved]) -> set[frozenset[Number]]:
    """The numbers that come from one training, here."""
    groups: dict[str, set[Number]] = defaultdict(set)
    for number, own in found.items():
        groups[own.run.run_id()].add(number)
    return set(map(frozenset, groups.values()))


def listed_sharing(paper: str, without: Iterable[Number] = ()) -> set[frozenset[Number]]:
    """The numbers that come from one training, as listed; trainings that serve none are left out."""
    wanted = {number for number, _ in _own(paper)} - set(without)
    return {numbers & wanted for numbers in _listed(paper).values()} - {frozenset()}


def trainings(paper: str) -> int:
    """As listed, those that serve no accuracy included."""
    return len(_listed(paper))


def changes(one: Frozen, other: Frozen) -> dict[str, tuple[object, object]]:
    """What differs, by its path in the JSON."""
    flat = dict(_flat(one.model_dump(mode="json"))), dict(_flat(other.model_dump(mode="json")))
    names = dict.fromkeys((*flat[0], *flat[1]))
    both = {name: (flat[0].get(name), flat[1].get(name)) for name in names}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def _own(paper: str) -> Iterator[tuple[Number, PrintedCell]]:
    for table in printed_tables().values():
        for cell in table.own_accuracies() if table.paper == paper else ():
            trained = str(cell.settings["train_dataset"])
            number = Number(table.label, cell.row, trained, cell.dataset, str(cell.way), str(cell.shot), cell.value)
            yield number, cell


@cache
def _listed(paper: str) -> dict[str, frozenset[Number]]:
    lines = csv.DictReader(_TRAININGS.read_text(encoding="utf-8").splitlines())
    return {line["training_id"]: frozenset(_numbers(line)) for line in lines if line["paper"] == paper}


def _numbers(line: Mapping[str, str]) -> Iterator[Number]:
    for text in line["cells"].split(" | "):
        match = fullmatch(r"([^:]+):(.+):([^:]+):(\d+)-way=(.+)", text)
        assert match, text
        table, row, tested, way, value = match.groups()
        yield Number(table, row, line["train_dataset"], tested, way, line["train_shot"], value)


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        parts = cast(dict[str, object], value)
    elif isinstance(value, list):
        parts = {str(number): part for number, part in enumerate(cast(list[object], value))}
    else:
        yield path, value
        return
    for name, part in parts.items():
        yield from _flat(part, f"{path}.{name}" if path else name)
