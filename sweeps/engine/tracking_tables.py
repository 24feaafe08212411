"""A table in MLflow: a parent run with the table as its description, and a child run per cell."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.engine.artifacts import artifacts
from sweeps.engine.results import TableResult
from sweeps.engine.tracking_connection import Value, log
from sweeps.engine.tracking_making import create_run, withdraw
from sweeps.engine.tracking_told import ARTIFACTS, Launch, TableTold, Told, table_told

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_CONTENT = "fsar.content"
"""Tag of the parent: digest of all that was written last, of the cells too; empty while that is going on."""
_NOTE = "mlflow.note.content"


class TableWriter:
    """Writes one launch of a table, or brings it up to date.

    A parent that stands as it would be written, with the digest of its cells, is taken for the whole table: MLflow need
    not load every cell. So it is not noticed what somebody changed or deleted by hand among the cells of a table that
    has not changed, or of its files; who deletes the parent has all of them written anew.
    """

    def __init__(self, client: "MlflowClient", result: TableResult, launch: Launch) -> None:
        self.client, self.result, self.launch = client, result, launch
        times = [s.record.ended_ms for cell in result.cells for s in cell.done if s.record]
        self.moment_ms = max(times, default=None)
        """When the last number was ready: the time of all metrics here, so that logging again adds nothing."""

    def write(self) -> str:
        """Gives the parent's id in MLflow."""
        parent = self._parent_there()
        if parent is None:
            there = self._runs_there()  # cells whose parent was deleted are given to the new one
            parent = self._run(there, self.launch.key, self.launch.named(self.result))
            told = table_told(self.result, self.launch, parent.info.run_id)
            self._update(there, parent, told)
        else:
            told = table_told(self.result, self.launch, parent.info.run_id)
            if not _stands(parent, told):
                self._update(self._runs_there(), parent, told)
        self.client.set_experiment_tag(self.launch.experiment, _NOTE, told.parent.tags[_NOTE])
        return parent.info.run_id

    def _update(self, there: dict[str, "Run"], parent: "Run", told: TableTold) -> None:
        """The digest goes first and comes last: after a driver that was killed in between, all is compared again."""
        if parent.data.tags.get(_CONTENT):
            self.client.set_tag(parent.info.run_id, _CONTENT, "")
        for cell in told.cells:
            self._cell(there, cell)
        self._write_artifacts(parent, told.parent)
        self._log(parent, told.parent)
        self.client.set_tag(parent.info.run_id, _CONTENT, told.digest())

    def _parent_there(self) -> "Run | None":
        ours = f"tags.`fsar.launch` = '{self.launch.id}' AND tags.`fsar.kind` = 'table'"
        oldest = ["attributes.start_time ASC"]
        found = self.client.search_runs([self.launch.experiment], ours, max_results=1, order_by=oldest)
        return found[0] if found else None

    def _runs_there(self) -> dict[str, "Run"]:
        found: dict[str, Run] = {}
        token: str | None = None
        while token is None or token:
            page = self.client.search_runs(
                [self.launch.experiment],
                f"tags.`fsar.launch` = '{self.launch.id}'",
                max_results=500,
                page_token=token,
                order_by=["attributes.start_time ASC"],
            )
            for run in page:
                if found.setdefault(run.data.tags["fsar.key"], run) is not run:
                    withdraw(self.client, run.info.run_id)
            token = page.token or ""
        return found

    def _run(self, there: dict[str, "Run"], key: str, tags: Mapping[str, str]) -> "Run":
        if key not in there:
            own = {"fsar.key": key, "fsar.launch": self.launch.id, **tags}
            there[key] = create_run(self.client, self.launch.experiment, own, tags["mlflow.runName"])
        return there[key]

    def _cell(self, there: dict[str, "Run"], told: Told) -> None:
        if told.key in there and not there[told.key].data.params.items() <= told.params.items():
            self.client.delete_run(there.pop(told.key).info.run_id)  # MLflow keeps parameters as they are for ever
        self._log(self._run(there, told.key, told.tags), told)

    def _log(self, run: "Run", told: Told) -> None:
        """What is not there yet."""
        moment, metrics = self.moment_ms, run.data.metrics
        new = {key: value for key, value in told.metrics.items() if metrics.get(key) != value}
        log(
            self.client,
            run.info.run_id,
            params={key: value for key, value in told.params.items() if key not in run.data.params},
            tags={key: value for key, value in told.tags.items() if run.data.tags.get(key) != value},
            metrics=[] if moment is None else [Value(key, value, moment) for key, value in new.items()],
        )
        self._status(run, told.status)

    def _status(self, run: "Run", status: str) -> None:
        if run.info.status == status:
            return
        if status == "RUNNING":
            self.client.update_run(run.info.run_id, status=status)
        else:
            self.client.set_terminated(run.info.run_id, status)

    def _write_artifacts(self, parent: "Run", told: Told) -> None:
        """Only if they differ from those that are there."""
        if parent.data.tags.get(ARTIFACTS) == told.tags[ARTIFACTS]:
            return
        with tempfile.TemporaryDirectory() as aside:
            for name, content in artifacts(self.result).items():
                (Path(aside) / name).write_bytes(content)
            self.client.log_artifacts(parent.info.run_id, aside)


def _stands(parent: "Run", told: TableTold) -> bool:
    own = {**told.parent.tags, _CONTENT: told.digest()}
    return parent.info.status == told.parent.status and own.items() <= parent.data.tags.items()
