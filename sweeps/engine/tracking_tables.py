"""A table in MLflow: a parent run with the table as its description, and a child run per cell."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fsar_core.frozen import content_id
from sweeps.engine.artifacts import artifacts, texts
from sweeps.engine.report import grid
from sweeps.engine.results import CellResult, State, TableResult
from sweeps.engine.selection_words import CHOSEN_ON, chosen_on, marked
from sweeps.engine.tracking_connection import Value, log
from sweeps.engine.tracking_fields import short
from sweeps.engine.tracking_notes import cell_note, table_note

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_STATUS: dict[State, str] = {"done": "FINISHED", "failed": "FAILED", "pending": "RUNNING"}


class TableWriter:
    """Writes one launch of a table, or brings it up to date."""

    def __init__(
        self,
        client: "MlflowClient",
        experiment: str,
        result: TableResult,
        launch_key: str,
        dataset: str,
        trainings: Mapping[str, tuple[str, str]],
    ) -> None:
        """``trainings``: MLflow's id and link of each training, by its key in the store."""
        self.client, self.experiment, self.result, self.dataset = client, experiment, result, dataset
        self.launch_key, self.launch, self.trainings = launch_key, content_id(launch_key), trainings
        self.words = grid(result)
        times = [s.record.ended_ms for cell in result.cells for s in cell.done if s.record]
        self.moment_ms = max(times, default=None)
        """When the last number was ready: the time of all metrics here, so that logging again adds nothing."""

    def write(self, preset: str, repetition: int) -> str:
        """Gives the parent's id in MLflow."""
        there = self._runs_there()
        name = f"{self.result.table.name} on {self.dataset}, preset {preset}, {len(self.result.seeds)} seeds"
        name += f", repetition {repetition}" if repetition else ""
        chosen = ", ".join(sorted({chosen_on(cell.cell.run) for cell in self.result.cells}))
        own = {"fsar.kind": "table", "mlflow.runName": name, "dataset": self.dataset, "preset": preset}
        own[CHOSEN_ON] = chosen
        parent = self._run(there, self.launch_key, own)
        parent_id = parent.info.run_id
        for cell in self.result.cells:
            self._cell(there, parent_id, cell)
        note = table_note(self.result, self.words, self.experiment, parent_id, self.launch)
        tags = {**own, "mlflow.note.content": note, "fsar.artifacts": self._artifacts(parent)}
        self.client.set_experiment_tag(self.experiment, "mlflow.note.content", note)
        done = sum(cell.state == "done" for cell in self.result.cells)
        counts = {"cells": float(len(self.result.cells)), "cells_done": float(done)}
        new = {key: value for key, value in tags.items() if parent.data.tags.get(key) != value}
        log(self.client, parent_id, tags=new, metrics=self._new(parent, counts))
        self._status(parent, _STATUS[self.result.state])
        return parent_id

    def _runs_there(self) -> dict[str, "Run"]:
        found: dict[str, Run] = {}
        token: str | None = None
        while token is None or token:
            page = self.client.search_runs(
                [self.experiment], f"tags.`fsar.launch` = '{self.launch}'", max_results=500, page_token=token,
                order_by=["attributes.start_time ASC"],
            )  # fmt: skip
            for run in page:
                found.setdefault(run.data.tags["fsar.key"], run)
            token = page.token or ""
        return found

    def _run(self, there: dict[str, "Run"], key: str, tags: Mapping[str, str]) -> "Run":
        if key not in there:
            own = {"fsar.key": key, "fsar.launch": self.launch, **tags}
            there[key] = self.client.create_run(self.experiment, tags=own, run_name=tags["mlflow.runName"])
        return there[key]

    def _cell(self, there: dict[str, "Run"], parent_id: str, cell: CellResult) -> None:
        own, evaluation = cell.cell, cell.cell.evaluation
        trainings = {s.seed: self.trainings[s.key] for s in cell.seeds if s.key in self.trainings}
        tags = {
            "fsar.kind": "cell",
            "mlflow.parentRunId": parent_id,
            "mlflow.runName": marked(f"{own.row}, {own.column}", own.run),
            CHOSEN_ON: chosen_on(own.run),
            "row": own.row,
            "column": own.column,
            "mlflow.note.content": cell_note(
                self.result, self.words, cell, {s: link for s, (_, link) in trainings.items()}
            ),
        }
        for seed, (run_id, link) in trainings.items():
            tags |= {f"training.seed{seed}": run_id, f"training.seed{seed}.link": link}
        shape = {"way": evaluation.way, "shot": evaluation.shot, "dataset": cell.dataset}
        params = {key: short(value) for key, value in (own.settings | shape).items()}
        key = content_id(self.launch_key, own.row, own.column)
        if key in there and not there[key].data.params.items() <= params.items():
            self.client.delete_run(there.pop(key).info.run_id)  # MLflow keeps parameters as they are for ever
        run = self._run(there, key, tags)
        log(
            self.client,
            run.info.run_id,
            params={k: v for k, v in params.items() if k not in run.data.params},
            tags={k: v for k, v in tags.items() if run.data.tags.get(k) != v},
            metrics=self._new(run, _numbers(self.result, cell)),
        )
        self._status(run, _STATUS[cell.state])

    def _new(self, run: "Run", values: Mapping[str, float | None]) -> list[Value]:
        moment = self.moment_ms
        if moment is None:
            return []
        return [Value(k, v, moment) for k, v in values.items() if v is not None and run.data.metrics.get(k) != v]

    def _status(self, run: "Run", status: str) -> None:
        if run.info.status == status:
            return
        if status == "RUNNING":
            self.client.update_run(run.info.run_id, status=status)
        else:
            self.client.set_terminated(run.info.run_id, status)

    def _artifacts(self, parent: "Run") -> str:
        """Writes the files if they differ from those that are there. Gives their digest."""
        digest = content_id(*texts(self.result).values())
        if parent.data.tags.get("fsar.artifacts") == digest:
            return digest
        with tempfile.TemporaryDirectory() as aside:
            for name, content in artifacts(self.result).items():
                (Path(aside) / name).write_bytes(content)
            self.client.log_artifacts(parent.info.run_id, aside)
        return digest


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
