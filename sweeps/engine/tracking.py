"""The record in MLflow: runs, tables, cells. Filled from files by the driver alone; doing it again changes nothing."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fsar_core.config import RunConfig
from fsar_core.frozen import content_id
from sweeps.engine.credentials import hide_credentials
from sweeps.engine.records import Point, RunFolder, RunRecord
from sweeps.engine.reruns import Apart
from sweeps.engine.results import TableResult
from sweeps.engine.selection_words import CHOSEN_ON, chosen_on
from sweeps.engine.tracking_connection import (
    TrackingError,
    Value,
    connect,
    find_or_create_experiment,
    locked,
    log,
    prepare,
    reaching,
)
from sweeps.engine.tracking_fields import measurements, metric_name, params, run_name, summary, tags
from sweeps.engine.tracking_making import create_run, withdraw
from sweeps.engine.tracking_notes import run_link, run_note
from sweeps.engine.tracking_rows import Row, digests, remember, row_of, rows_in
from sweeps.engine.tracking_tables import TableWriter
from sweeps.engine.tracking_told import Launch

if TYPE_CHECKING:
    from mlflow.entities import Run

__all__ = ["Tracking", "TrackingError", "digests", "prepare"]
_PAGE = 500
_LOOKED_UP = 100
"""Remembered rows, of a launch."""
_RUNS = "runs"


@dataclass
class _Known:
    """A run of ours in MLflow, as this process last saw it."""

    run_id: str
    status: str
    files: str
    """Digest of the files it was filled from; empty until it is complete."""
    training: str
    """Digest of the training's record alone."""
    new: bool = False
    """Made a moment ago: nothing but settings is there."""


class Tracking:
    """One MLflow store. Only the driver of a sweep holds one. All methods raise TrackingError."""

    def __init__(self, uri: str, apart: Apart | None = None, *, lock: Path | None = None) -> None:
        """``apart``: trainings and tables stand beside those of the record that have the same keys. ``lock``: the file
        that drivers share where the store is a server; a SQLite store has its own."""
        self.uri, self.lock, self._apart = uri, lock, apart
        self.client = connect(uri)
        self._experiments: dict[str, str] = {}
        self._known: dict[str, _Known] | None = None
        self._confirmed: set[str] = set()
        self._last_step: dict[str, int] = {}
        self._name: str | None = None

    def record_runs(self, folders: Mapping[str, RunFolder]) -> None:
        """As ``record_run``, for many by their keys in the store: what the folders remember is looked up in one search,
        where ``record_run`` alone searches the whole store."""
        with reaching(self.uri):
            self._confirm(rows_in(folders, self._store()).values())
        for key, folder in folders.items():
            self.record_run(key, folder)

    def record_run(self, store_key: str, folder: RunFolder) -> str | None:
        """Adds what the folder holds and MLflow does not: the training, each finished evaluation. Gives MLflow's id.

        A training that failed without a record ends a run that ``progress`` had opened. None if nothing is there yet.
        """
        with reaching(self.uri):
            files, training = digests(folder)
            row = row_of(folder, self._store())
            if row is not None and row.files == files and row.run_id in self._confirmed:
                return row.run_id
            known = self._runs().get(self._key(store_key))
            if known is not None and known.files == files:
                self._remember(folder, known)
                return known.run_id
            record = folder.record()
            if record is None:
                return self._record_failure(known, folder)
            known = self._find_or_create(store_key, record.run, record.started_ms)
            self._fill(known, record, folder, files, training)
            known.files, known.training, known.status = files, training, "FINISHED"
            known.new = False
            self._remember(folder, known)
            return known.run_id

    def progress(self, store_key: str, run: RunConfig, points: Sequence[Point]) -> None:
        """Shows a training while it runs. Points at or before the last step that is there are skipped."""
        if not points:
            return
        with reaching(self.uri):
            known = self._find_or_create(store_key, run, points[0].time_ms)
            if known.files:
                return
            settings = params(run) if known.new else dict[str, str]()
            known.new = False
            if known.status != "RUNNING":
                self.client.update_run(known.run_id, status="RUNNING")
                known.status = "RUNNING"
            if store_key not in self._last_step:
                names = {metric_name(name) for point in points for name in point.metrics}
                self._last_step[store_key] = max((step for _, step in self._logged(known.run_id, names)), default=-1)
            new = [point for point in points if point.step > self._last_step[store_key]]
            log(self.client, known.run_id, metrics=_values(new), params=settings)
            self._last_step[store_key] = max([self._last_step[store_key], *(point.step for point in new)])

    def record_stopped(self, store_keys: Iterable[str]) -> None:
        """Ends what ``progress`` had opened for trainings that were stopped early; they have no record."""
        with reaching(self.uri):
            for known in (self._runs().get(self._key(key)) for key in store_keys):
                if known is not None and known.status == "RUNNING":
                    self.client.set_terminated(known.run_id, "KILLED")
                    known.status = "KILLED"

    def record_table(self, result: TableResult, launch_key: str, dataset: str, preset: str, repetition: int = 0) -> str:
        """Writes or updates the table's parent run and one child per cell. Gives the parent's id in MLflow.

        ``preset`` and ``repetition`` (0 for the record) only show in the parent's name and tags.
        """
        with reaching(self.uri), locked(self.uri, self.lock):
            runs = self.experiment(_RUNS)
            ids = self._trainings({seed.key: seed.folder for cell in result.cells for seed in cell.seeds})
            links = {key: (run_id, run_link(runs, run_id)) for key, run_id in ids.items()}
            experiment = self.table_experiment(result.table.name)
            within = None if self._apart is None else self._apart.parent
            launch = Launch(self._key(launch_key), dataset, preset, repetition, experiment, links, within)
            return TableWriter(self.client, result, launch).write()

    def experiment(self, name: str) -> str:
        """Its id in MLflow; made where it is missing. Call it inside ``reaching``."""
        if name not in self._experiments:
            self._experiments[name] = find_or_create_experiment(self.client, self.uri, name)
        return self._experiments[name]

    def table_experiment(self, name: str) -> str:
        """As ``experiment``, of the one that holds a table."""
        return self.experiment(name if self._apart is None else self._apart.experiment)

    def _key(self, key: str) -> str:
        return key if self._apart is None else self._apart.key(key)

    def _store(self) -> str:
        """Names this store of runs; one that was made anew has another name."""
        if self._name is None:
            found = self.client.get_experiment(self.experiment(_RUNS))
            self._name = content_id(hide_credentials(self.uri), found.experiment_id, str(found.creation_time))
        return self._name

    def _remember(self, folder: RunFolder, known: _Known) -> None:
        remember(folder, Row(store=self._store(), run_id=known.run_id, files=known.files))
        self._confirmed.add(known.run_id)

    def _trainings(self, folders: Mapping[str, RunFolder]) -> dict[str, str]:
        """MLflow's id of each training by its key; of all that stand there if a folder does not remember its own."""
        rows = rows_in(folders, self._store())
        self._confirm(rows.values())
        if rows.keys() == folders.keys() and all(row.run_id in self._confirmed for row in rows.values()):
            return {key: row.run_id for key, row in rows.items()}
        known = self._runs()
        return {key: known[own].run_id for key in folders if (own := self._key(key)) in known}

    def _confirm(self, remembered: Iterable[Row]) -> None:
        """Which remembered rows, the newest first, stand in MLflow as they are remembered: one may have been deleted by
        hand, or be newer than the backup that a database was restored from. MLflow reads all of a row, so that of many
        the newest are looked up, which a backup lacks first; if these stand, the older ones are taken to stand too."""
        rows = [row for row in remembered if row.run_id not in self._confirmed]
        files = {row.run_id: row.files for row in rows[:_LOOKED_UP]}
        if not files:
            return
        these = f"attributes.run_id IN ({', '.join(map(repr, files))})"
        there = self.client.search_runs([self.experiment(_RUNS)], these, max_results=_LOOKED_UP)
        stand = {run.info.run_id for run in there if _seen(run).files == files[run.info.run_id]}
        self._confirmed |= {row.run_id for row in rows} if stand == files.keys() else stand

    def _runs(self) -> dict[str, _Known]:
        if self._known is None:
            found: dict[str, _Known] = {}
            token: str | None = None
            while token is None or token:
                page = self.client.search_runs(
                    [self.experiment(_RUNS)],
                    max_results=_PAGE,
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
                for run in page:
                    first = found.setdefault(run.data.tags.get("fsar.key", run.info.run_id), _seen(run))
                    if first.run_id != run.info.run_id:
                        withdraw(self.client, run.info.run_id)
                token = page.token or ""
            self._known = found
        return self._known

    def _find_or_create(self, store_key: str, run: RunConfig, started_ms: int) -> _Known:
        runs, key = self._runs(), self._key(store_key)
        if key not in runs:
            with locked(self.uri, self.lock):
                runs[key] = self._lookup(key) or self._create(key, run, started_ms)
        return runs[key]

    def _lookup(self, key: str) -> _Known | None:
        """Another sweep's driver may have made the run since this one looked."""
        found = self.client.search_runs([self.experiment(_RUNS)], f"tags.`fsar.key` = '{key}'", max_results=1)
        return _seen(found[0]) if found else None

    def _create(self, key: str, run: RunConfig, started_ms: int) -> _Known:
        own = {"fsar.key": key, "fsar.kind": "training", CHOSEN_ON: chosen_on(run)}
        created = create_run(self.client, self.experiment(_RUNS), own, run_name(run), started_ms)
        return replace(_seen(created), new=not created.data.metrics)

    def _fill(self, known: _Known, record: RunRecord, folder: RunFolder, files: str, training: str) -> None:
        """One batch for all values: MLflow looks at the run at every call. It is the last, and MLflow writes its tags
        last: a driver killed before starts over."""
        run_id = known.run_id
        data = None if known.new else self.client.get_run(run_id).data
        metrics, settings = ({}, {}) if data is None else (data.metrics, data.params)
        values, own = self._measured(record, folder, metrics)
        own["fsar.files"] = files
        missing: dict[str, str] = {}
        if known.training != training:
            names = {metric_name(name) for point in record.history for name in point.metrics}
            there = self._logged(run_id, names & metrics.keys())
            values += [value for value in _values(record.history) if (value.name, value.step) not in there]
            values += [Value(k, v, record.ended_ms) for k, v in summary(record).items() if metrics.get(k) != v]
            own |= {**tags(record), "fsar.training": training, "fsar.checkpoint": str(folder.checkpoints)}
            missing = _missing(params(record.run), settings)
            self.client.log_artifact(run_id, str(folder.path / "run.json"))
        for place, path in _evaluations(folder).items():
            self.client.log_artifact(run_id, str(path), "evaluations")
            self.client.log_artifact(run_id, str(folder.outcomes_path(*place)), "evaluations")
        if known.status != "FINISHED":
            self.client.set_terminated(run_id, "FINISHED", end_time=record.ended_ms)
        log(self.client, run_id, metrics=values, tags=own, params=missing)

    def _measured(
        self, record: RunRecord, folder: RunFolder, there: Mapping[str, float]
    ) -> tuple[list[Value], dict[str, str]]:
        """What MLflow lacks of the evaluations, and the note that names all of them."""
        read = {place: folder.evaluation(*place) for place in _evaluations(folder)}
        records = {"-".join(place): evaluation for place, evaluation in read.items() if evaluation is not None}
        measured = measurements(record.run, records)
        note = run_note(record, {value.name: value.value for value in measured})
        return [value for value in measured if there.get(value.name) != value.value], {"mlflow.note.content": note}

    def _record_failure(self, known: _Known | None, folder: RunFolder) -> str | None:
        failure = folder.failure()
        if known is None:
            return None
        if failure is not None and known.status != "FAILED":
            with tempfile.TemporaryDirectory() as aside:
                path = Path(aside) / "failure.txt"
                path.write_text(failure.traceback)
                self.client.log_artifact(known.run_id, str(path))
            self.client.set_terminated(known.run_id, "FAILED")
            known.status = "FAILED"
        return known.run_id

    def _logged(self, run_id: str, names: Iterable[str]) -> set[tuple[str, int]]:
        """(metric, step) that are there."""
        return {(name, m.step) for name in names for m in self.client.get_metric_history(run_id, name)}


def _evaluations(folder: RunFolder) -> dict[tuple[str, str], Path]:
    """Files of the evaluations by id and fingerprint."""
    found = (folder.path / "evaluations").glob("*-*.json")
    return {(path.stem[:16], path.stem[17:]): path for path in found}


def _missing(wanted: dict[str, str], there: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if key not in there}


def _seen(run: "Run") -> _Known:
    own = run.data.tags
    return _Known(run.info.run_id, run.info.status, own.get("fsar.files", ""), own.get("fsar.training", ""))


def _values(points: Iterable[Point]) -> list[Value]:
    return [Value(metric_name(k), v, p.time_ms, p.step) for p in points for k, v in p.metrics.items()]
