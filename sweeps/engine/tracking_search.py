"""A study in MLflow: a parent run with the ranking as its description, and a child run per trial."""

from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeps.engine.search import KEY, accuracy_text, best_first, counted
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_connection import Value, locked, log, reaching

if TYPE_CHECKING:
    from mlflow.entities import Run

_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED"}
_PAGE = 500


def record_search(tracking: Tracking, space: str, study: optuna.Study, dataset: str) -> str:
    """Adds the trials that MLflow does not have yet and renews the ranking, by val alone. Gives the parent's id."""
    with reaching(tracking.uri), locked(tracking.uri):
        experiment = tracking.experiment(f"search/{space}")
        runs = {run.data.tags["fsar.key"]: run for run in _all(tracking, experiment, study.study_name)}
        parent_key = study.study_name
        own = {"fsar.key": parent_key, "fsar.study": study.study_name, "fsar.kind": "search", "dataset": dataset}
        if parent_key not in runs:
            name = f"search {space} on {dataset}"
            runs[parent_key] = tracking.client.create_run(experiment, tags=own, run_name=name)
        parent = runs[parent_key].info.run_id
        for trial in counted(study):
            key = f"{parent_key}#{trial.number}"
            if trial.state not in _STATUS:
                continue
            if key not in runs:
                marks = {"fsar.key": key, "fsar.study": study.study_name, "fsar.kind": "trial"}
                marks |= {"mlflow.parentRunId": parent}
                runs[key] = tracking.client.create_run(experiment, tags=marks, run_name=f"trial {trial.number}")
            if runs[key].info.status == "RUNNING":
                _fill(tracking, runs[key].info.run_id, trial)
        log(tracking.client, parent, tags={"mlflow.note.content": ranking(study)})
        tracking.client.set_experiment_tag(experiment, "mlflow.note.content", ranking(study))
        tracking.client.set_terminated(parent, "FINISHED")
        return parent


def ranking(study: optuna.Study) -> str:
    """Markdown: finished trials from the best down, then the stopped ones."""
    trials = best_first(study)
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    head = ["trial", "val accuracy", *names]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for trial in trials[:100]:
        settings = " | ".join(str(trial.params.get(name, "")) for name in names)
        lines.append(f"| {trial.number} | {accuracy_text(trial)} | {settings} |")
    return "\n".join(
        [
            *lines,
            "",
            "Accuracy in per cent on val. Stopped trials are no results. Test clips were not looked at.",
        ]
    )


def _fill(tracking: Tracking, run_id: str, trial: FrozenTrial) -> None:
    """The status is set last: what a killed driver left running is filled again, and no point is stored twice."""
    moment = int(trial.datetime_complete.timestamp() * 1000) if trial.datetime_complete else 0
    metrics = [Value("val/accuracy", value, moment, step) for step, value in sorted(trial.intermediate_values.items())]
    if trial.state is TrialState.COMPLETE and trial.value is not None:  # Optuna gives stopped trials a value too
        metrics.append(Value("val/best", trial.value, moment))
    params = {name: str(value) for name, value in trial.params.items()}
    tags = {"fsar.run": str(trial.user_attrs[KEY]), "state": trial.state.name.lower()}
    log(tracking.client, run_id, metrics=metrics, params=params, tags=tags)
    tracking.client.set_terminated(run_id, _STATUS[trial.state])


def _all(tracking: Tracking, experiment: str, study: str) -> "list[Run]":
    found: list[Run] = []
    token: str | None = None
    while token is None or token:
        page = tracking.client.search_runs(
            [experiment],
            f"tags.`fsar.study` = '{study}' AND tags.`fsar.key` LIKE '%'",
            max_results=_PAGE,
            page_token=token,
        )
        found += page
        token = page.token or ""
    return found
