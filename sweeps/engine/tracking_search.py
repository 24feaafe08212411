"""A study in MLflow: a parent run described by the search's page and holding its files, and a child run per point."""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, TrialState

from fsar_core.frozen import content_id
from sweeps.engine.formats import escape_markdown
from sweeps.engine.search_study import (
    KEY,
    RECORDED,
    TWIN,
    accuracy,
    accuracy_text,
    cost_name,
    cost_of,
    finished,
    looks,
    points,
    stopped,
)
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_connection import Value, locked, log, reaching
from sweeps.engine.tracking_fields import short
from sweeps.engine.tracking_making import create_run
from sweeps.engine.tracking_notes import LONGEST_NOTE, run_link, runs_link
from sweeps.engine.tracking_numbers import in_ranges, ranges

if TYPE_CHECKING:
    from mlflow.entities import Run

_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED"}
_PAGE = 500
_THERE = "fsar.trials"
"""Tag of the parent: numbers of the trials that have their run, as ranges. True while the parent is finished; a driver
that was killed leaves it running."""


def record_search(
    tracking: Tracking, study: optuna.Study, dataset: str, description: str, files: Mapping[str, bytes]
) -> str:
    """Adds the points that MLflow does not have yet, and renews description and files. Gives the parent's id.

    ``description``: Markdown; MLflow keeps 8,000 characters, of which links to the ``files`` in front take some. Points
    that are at work are added by a later call; failed ones are only counted. Raises TrackingError.
    """
    with reaching(tracking.uri), locked(tracking.uri, tracking.lock):
        return _Writer(tracking, study).write(dataset, description, files)


class _Writer:
    """Brings one search up to date."""

    def __init__(self, tracking: Tracking, study: optuna.Study) -> None:
        self.tracking, self.client, self.study = tracking, tracking.client, study
        self.space, self.name = str(study.user_attrs.get("space", study.study_name)), study.study_name
        self.experiment = tracking.experiment(f"search/{self.space}")
        self.trainings = tracking.experiment("runs")
        self.cost = cost_name(study)

    def write(self, dataset: str, description: str, files: Mapping[str, bytes]) -> str:
        parent, new = self._parent(dataset)
        parent_id = parent.info.run_id
        ended = [trial for trial in points(self.study) if trial.state in _STATUS]
        there = set() if new else in_ranges(parent.data.tags.get(_THERE, ""))
        missing = [trial for trial in ended if trial.number not in there]
        if missing or parent.info.status != "FINISHED":
            self._add(parent, missing, new=new)
        note = _with_links(description, self.experiment, parent_id, files)
        digest = content_id(*(f"{name} {hashlib.sha256(files[name]).hexdigest()}" for name in sorted(files)))
        if parent.data.tags.get("fsar.artifacts") != digest:
            self._upload(parent_id, files)
        if parent.data.tags.get("mlflow.note.content") != note:
            self.client.set_experiment_tag(self.experiment, "mlflow.note.content", note)
        tags = {"mlflow.note.content": note, "fsar.artifacts": digest, _THERE: ranges(trial.number for trial in ended)}
        tags = {key: value for key, value in tags.items() if parent.data.tags.get(key) != value}
        log(self.client, parent_id, tags=tags, metrics=self._counts(parent))
        if missing or parent.info.status != "FINISHED":
            self.client.set_terminated(parent_id, "FINISHED")
        return parent_id

    def _parent(self, dataset: str) -> "tuple[Run, bool]":
        """And whether it was made just now."""
        found = self.client.search_runs([self.experiment], f"tags.`fsar.key` = '{self.name}'", max_results=1)
        if found:
            return found[0], False
        own = {"fsar.key": self.name, "fsar.study": self.name, "fsar.kind": "search", "dataset": dataset}
        name = f"search {self.space} on {dataset}"
        return create_run(self.client, self.experiment, own, name), True

    def _add(self, parent: "Run", missing: Iterable[FrozenTrial], *, new: bool) -> None:
        """Where a killed driver may have left runs behind, or the parent was deleted by hand, they are looked up."""
        parent_id = parent.info.run_id
        left: dict[str, Run] = {}
        if parent.info.status == "FINISHED":
            self.client.update_run(parent_id, status="RUNNING")
        else:
            left = {run.data.tags["fsar.key"]: run for run in self._children()}
        for trial in missing:
            key = f"{self.name}#{trial.number}"
            run = left.get(key)
            if run is None:
                tags = {"fsar.key": key, "fsar.study": self.name, "fsar.kind": "trial", **self._tags(trial, parent_id)}
                run = create_run(self.client, self.experiment, tags, f"trial {trial.number}")
            elif new:
                self.client.set_tag(run.info.run_id, "mlflow.parentRunId", parent_id)
            if run.info.status == "RUNNING":
                self._fill(run.info.run_id, trial)

    def _tags(self, trial: FrozenTrial, parent: str) -> dict[str, str]:
        key = str(trial.user_attrs[KEY])
        where = runs_link(self.trainings, f"tags.`fsar.key` = '{key}'")
        back = run_link(self.experiment, parent)
        note = f"Val accuracy {escape_markdown(accuracy_text(trial))} %. [its training]({where}) · [the search]({back})"
        tags = {"mlflow.parentRunId": parent, "mlflow.note.content": note, "fsar.run": key}
        if RECORDED in trial.user_attrs:
            tags["recorded"] = "before the search asked for it"
        return tags | {"state": trial.state.name.lower()}

    def _fill(self, run_id: str, trial: FrozenTrial) -> None:
        """The status is set last: what a killed driver left running is filled again, and no point is stored twice."""
        moment = int(trial.datetime_complete.timestamp() * 1000) if trial.datetime_complete else 0
        metrics = [Value("val/accuracy", value, moment, step) for step, value in sorted(looks(trial).items())]
        if trial.state is TrialState.COMPLETE:
            metrics.append(Value("val/best", accuracy(trial), moment))
        cost = cost_of(trial)
        if cost is not None:
            metrics.append(Value(f"cost/{self.cost}", cost, moment))
        params = {name: short(value) for name, value in trial.params.items()}
        log(self.client, run_id, metrics=metrics, params=params)
        self.client.set_terminated(run_id, _STATUS[trial.state])

    def _counts(self, parent: "Run") -> list[Value]:
        failed = [
            trial
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
            if TWIN not in trial.user_attrs
        ]
        results = finished(self.study)
        counts = {"finished": len(results), "stopped": len(stopped(self.study)), "failed": len(failed)}
        numbers = {f"trials/{name}": float(number) for name, number in counts.items()}
        if results:
            numbers["val/best"] = accuracy(results[0])
        times = [t.datetime_complete for t in (*results, *failed) if t.datetime_complete is not None]
        moment = int(max(times).timestamp() * 1000) if times else 0
        return [Value(k, v, moment) for k, v in numbers.items() if parent.data.metrics.get(k) != v]

    def _children(self) -> "list[Run]":
        found: list[Run] = []
        token: str | None = None
        where = f"tags.`fsar.study` = '{self.name}' AND tags.`fsar.kind` = 'trial'"
        while token is None or token:
            page = self.client.search_runs([self.experiment], where, max_results=_PAGE, page_token=token)
            found += page
            token = page.token or ""
        return found

    def _upload(self, parent: str, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as aside:
            for name, content in files.items():
                (Path(aside) / name).write_bytes(content)
            self.client.log_artifacts(parent, aside)


def _with_links(description: str, experiment: str, parent: str, files: Iterable[str]) -> str:
    """The pictures and pages first; the files of numbers are found beside them."""
    shown = [name for name in files if name.endswith((".png", ".md"))]
    trials = runs_link(experiment, f"tags.`mlflow.parentRunId` = '{parent}'", best="val/best")
    links = [f"[points, best first]({trials})"]
    links += [f"[{name.partition('.')[0]}]({run_link(experiment, parent, name)})" for name in shown]
    return f"{' · '.join(links)}\n\n{description}"[:LONGEST_NOTE]
