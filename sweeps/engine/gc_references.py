"""Which runs are named by a table or a search: from MLflow and from the studies."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sweeps.engine.credentials import hide_credentials
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.tracking_connection import connect, reaching, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 1000
_TRAINING = re.compile(r"training\.seed\d+")
_NEED = re.compile(r"needs\.\d+\.run_id")


class References(NamedTuple):
    """Of all tables and searches of a site."""

    keys: frozenset[str]
    """Of runs that are named."""
    needs: frozenset[str]
    """``run_id`` of what any training needs first, finished or not."""


def references(site: Site) -> References:
    """Raises BadRequest where there is no MLflow store, or one that names no run at all, and TrackingError where it
    cannot be read: then nothing says what is still wanted."""
    uri = site.mlflow_uri()
    database = sqlite_file(uri)
    if database is not None and not database.is_file():
        raise BadRequest([f"--unreferenced reads in MLflow which runs tables name, but {database} does not exist"])
    client = connect(uri)
    with reaching(uri):
        runs = list(_all_runs(client))
    trainings = {run.info.run_id: run.data.tags["fsar.key"] for run in runs if _kind(run) == "training"}
    named = {
        trainings[value]
        for run in runs
        if _kind(run) == "cell"
        for tag, value in run.data.tags.items()
        if _TRAINING.fullmatch(tag) and value in trainings
    }
    needs = {value for run in runs for name, value in run.data.params.items() if _NEED.fullmatch(name)}
    named |= set(_searched(site))
    if not named:
        raise BadRequest(
            [f"--unreferenced needs tables or searches to be recorded, but {hide_credentials(uri)} names no run of any"]
        )
    return References(frozenset(named), frozenset(needs))


def _kind(run: "Run") -> str | None:
    return run.data.tags.get("fsar.kind")


def _all_runs(client: "MlflowClient") -> Iterator["Run"]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments(max_results=_PAGE)]
    token: str | None = None
    while token is None or token:
        page = client.search_runs(experiments, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token or ""


def _searched(site: Site) -> Iterator[str]:
    """Keys of the points of all studies."""
    import optuna

    from sweeps.engine.search_study import KEY, reaching_studies
    from sweeps.engine.study_storage import study_storage

    uri = site.optuna_uri()
    if site.study_uri is None and not Path(uri.removeprefix("sqlite:///")).is_file():
        return
    with reaching_studies(uri):
        storage = study_storage(uri)
        for name in optuna.get_all_study_names(storage):
            for trial in optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False):
                if KEY in trial.user_attrs:
                    yield trial.user_attrs[KEY]
        storage.engine.dispose()
