"""A rerun in MLflow: a parent run in the experiment of its schedule, there from the start, described by its tables."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.engine.formats import escape_markdown, markdown_table
from sweeps.engine.moments import utc
from sweeps.engine.report import grid
from sweeps.engine.reruns import Code, Rerun, slot_moment
from sweeps.engine.results import TableResult
from sweeps.engine.schedules import Schedule
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_connection import Value, locked, log, reaching
from sweeps.engine.tracking_fields import short
from sweeps.engine.tracking_making import create_run
from sweeps.engine.tracking_notes import LONGEST_NOTE, run_link, spaced

_NOTE = "mlflow.note.content"


@dataclass(frozen=True)
class ParentRun:
    """Of one rerun; taking it up again finds it."""

    experiment: str
    """MLflow's id."""
    run_id: str

    def link(self) -> str:
        """Relative."""
        return run_link(self.experiment, self.run_id)


def begin(tracking: Tracking, name: str, schedule: Schedule, slot: str, code: Code) -> ParentRun:
    """Finds or makes the parent run, and sets it at work. Raises TrackingError."""
    key = f"rerun {name}/{slot}"
    tags = {
        "fsar.kind": "rerun",
        "schedule": name,
        "slot": slot,
        "tables": short(schedule.what()),
        "cron": f"{schedule.cron} {schedule.time_zone}",
        "git_commit": code.git_commit,
        "mlflow.source.git.commit": code.git_commit,
        "git_dirty": str(code.dirty).lower(),
        "source": code.source,
    }
    with reaching(tracking.uri), locked(tracking.uri):
        experiment = tracking.experiment(f"reruns/{name}")
        client = tracking.client
        found = client.search_runs([experiment], f"tags.`fsar.key` = '{key}'", max_results=1)
        if not found:
            made = create_run(client, experiment, {"fsar.key": key, **tags}, f"{name} {slot}")
            return ParentRun(experiment, made.info.run_id)
        run_id = found[0].info.run_id
        client.update_run(run_id, status="RUNNING")
        log(client, run_id, tags=tags)
        return ParentRun(experiment, run_id)


def end(
    tracking: Tracking, parent: ParentRun, rerun: Rerun, results: Sequence[TableResult], pages: Sequence[str]
) -> None:
    """Fills the parent run and ends it; ``pages``: relative links to the tables. Raises TrackingError."""
    client = tracking.client
    note = _note(rerun, results, pages)
    counts = {"cells": float(rerun.cells), "cells_done": float(rerun.cells_done)}
    with reaching(tracking.uri):
        with tempfile.TemporaryDirectory() as aside:
            path = Path(aside) / "rerun.json"
            path.write_bytes(rerun.model_dump_json(indent=1).encode())
            client.log_artifact(parent.run_id, str(path))
        there = client.get_run(parent.run_id).data.params
        settings = {key: value for key, value in _params(rerun).items() if key not in there}
        metrics = [Value(key, value, rerun.ended_ms) for key, value in counts.items()]
        log(client, parent.run_id, metrics=metrics, params=settings, tags={**_environment(rerun), _NOTE: note})
        client.set_experiment_tag(parent.experiment, _NOTE, note)
        client.set_terminated(parent.run_id, "FINISHED" if rerun.exit_code == 0 else "FAILED", end_time=rerun.ended_ms)


def _params(rerun: Rerun) -> dict[str, str]:
    """What cannot change when a slot is taken up again."""
    wanted: Mapping[str, object] = {
        "tables": " ".join(rerun.tables),
        "dataset": rerun.dataset,
        "preset": rerun.preset,
        "seeds": " ".join(map(str, rerun.seeds)),
        "fresh": rerun.fresh,
    }
    return {key: short(value) for key, value in wanted.items()}


def _environment(rerun: Rerun) -> dict[str, str]:
    own = rerun.machines
    devices = dict.fromkeys(environment.device for environment in own.trained_on)
    prints = {f"fingerprint.{name}": value for name, value in rerun.fingerprints.items()}
    versions = {f"version.{name}": value for name, value in own.versions.items()}
    return {"host": own.host, "device": ", ".join(devices), "python": own.python, **versions, **prints}


def _note(rerun: Rerun, results: Sequence[TableResult], pages: Sequence[str]) -> str:
    """Tables as long as they fit; links to all of them."""
    due = utc(int(slot_moment(rerun.slot).timestamp() * 1000))
    first, last = min(rerun.seeds), max(rerun.seeds)
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    how = "trained anew" if rerun.fresh else "recorded trainings are used again"
    code = f"{rerun.code.git_commit[:12]}{' with changes' if rerun.code.dirty else ''}"
    lines = [
        f"### {escape_markdown(rerun.schedule)}, due {due}: {rerun.cells_done} of {rerun.cells} cells",
        f"Preset {escape_markdown(rerun.preset)}, {seeds}, {how}; code {code}.",
    ]
    tables = [f"**{escape_markdown(own.table.title)}**" for own in results]
    tables = [f"[{title}]({page})" if page else title for title, page in zip(tables, pages, strict=True)]
    text = "\n\n".join([*lines, *tables])
    for title, own in zip(tables, results, strict=True):
        longer = text.replace(title, f"{title}\n\n{spaced(markdown_table(grid(own)))}", 1)
        if len(longer) <= LONGEST_NOTE:
            text = longer
    return text[:LONGEST_NOTE]
