"""What MLflow is told of a table: of its parent run and of the child of every cell, before anything is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from fsar_core.frozen import content_id
from sweeps.engine.artifacts import texts
from sweeps.engine.report import Grid, grid
from sweeps.engine.results import CellResult, State, TableResult
from sweeps.engine.selection_words import CHOSEN_ON, chosen_on, marked
from sweeps.engine.tracking_fields import short
from sweeps.engine.tracking_notes import cell_note, table_note

ARTIFACTS = "fsar.artifacts"
"""Tag with the digest of the table's files."""
_STATUS: dict[State, str] = {"done": "FINISHED", "failed": "FAILED", "pending": "RUNNING"}


@dataclass(frozen=True)
class Told:
    """Of one run in MLflow."""

    key: str
    """Names it within its launch."""
    tags: dict[str, str]
    metrics: dict[str, float]
    status: str
    params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableTold:
    """Of a table."""

    parent: Told
    cells: tuple[Told, ...]

    def digest(self) -> str:
        """Names all of it."""
        return content_id(*(json.dumps(vars(told), sort_keys=True) for told in (self.parent, *self.cells)))


@dataclass(frozen=True)
class Launch:
    """One launch of a table, and where it stands in MLflow."""

    key: str
    dataset: str
    preset: str
    repetition: int
    """0 for the record."""
    experiment: str
    trainings: Mapping[str, tuple[str, str]]
    """MLflow's id and link of each training, by its key in the store."""
    within: str | None = None
    """MLflow's id of the run that the table is a part of."""

    @property
    def id(self) -> str:
        """The value of the tag ``fsar.launch``, which all runs of the launch carry."""
        return content_id(self.key)

    def named(self, result: TableResult) -> dict[str, str]:
        """The parent's tags as far as they do not tell its number in MLflow."""
        name = f"{result.table.name} on {self.dataset}, preset {self.preset}, {len(result.seeds)} seeds"
        name += f", repetition {self.repetition}" if self.repetition else ""
        chosen = ", ".join(sorted({chosen_on(cell.cell.run) for cell in result.cells}))
        own = {"fsar.kind": "table", "mlflow.runName": name, "dataset": self.dataset, "preset": self.preset}
        return own | {CHOSEN_ON: chosen} | ({} if self.within is None else {"mlflow.parentRunId": self.within})


def table_told(result: TableResult, launch: Launch, parent_id: str) -> TableTold:
    """``parent_id``: MLflow's, of the parent run."""
    words = grid(result)
    entries = dict(words.rows)
    note = table_note(result, words, launch.experiment, parent_id, launch.id)
    done = sum(cell.state == "done" for cell in result.cells)
    parent = Told(
        key=launch.key,
        tags={**launch.named(result), "mlflow.note.content": note, ARTIFACTS: content_id(*texts(result).values())},
        metrics={"cells": float(len(result.cells)), "cells_done": float(done)},
        status=_STATUS[result.state],
    )
    places = {column.name: place for place, column in enumerate(words.columns)}

    def told(cell: CellResult) -> Told:
        row, place = cell.cell.row, places[cell.cell.column]
        alone = Grid(words.title, (words.columns[place],), ((row, (entries[row][place],)),))
        return _cell_told(result, cell, launch, parent_id, alone)

    return TableTold(parent, tuple(map(told, result.cells)))


def _cell_told(result: TableResult, cell: CellResult, launch: Launch, parent_id: str, alone: Grid) -> Told:
    own, evaluation = cell.cell, cell.cell.evaluation
    trainings = {s.seed: launch.trainings[s.key] for s in cell.seeds if s.key in launch.trainings}
    tags = {
        "fsar.kind": "cell",
        "mlflow.parentRunId": parent_id,
        "mlflow.runName": marked(f"{own.row}, {own.column}", own.run),
        CHOSEN_ON: chosen_on(own.run),
        "row": own.row,
        "column": own.column,
        "mlflow.note.content": cell_note(result, alone, cell, {s: link for s, (_, link) in trainings.items()}),
    }
    for seed, (run_id, link) in trainings.items():
        tags |= {f"training.seed{seed}": run_id, f"training.seed{seed}.link": link}
    shape = {"way": evaluation.way, "shot": evaluation.shot, "dataset": cell.dataset}
    return Told(
        key=content_id(launch.key, own.row, own.column),
        tags=tags,
        metrics={name: value for name, value in _numbers(result, cell).items() if value is not None},
        status=_STATUS[cell.state],
        params={key: short(value) for key, value in (own.settings | shape).items()},
    )


def _numbers(result: TableResult, cell: CellResult) -> dict[str, float | None]:
    """Fractions. An unfinished cell shows what its finished seeds give."""
    printed = cell.printed or next(iter(cell.cell.published), None)  # the one that ``delta`` is of, if it has any
    mean, ci95, _, p = result.difference(cell) or (None, None, None, None)
    return {
        "accuracy": cell.accuracy,
        "ci95": cell.ci95,
        "seed_sd": cell.seed_sd,
        "difference": mean,
        "difference_ci95": ci95,
        "difference_p_holm": p,
        "published": None if printed is None else printed.percent / 100,
        "delta": cell.printed_minus_ours,
    }
