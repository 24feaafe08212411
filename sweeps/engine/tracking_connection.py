"""Reaching an MLflow store: the database made ready, errors in words, experiments found or created."""

import logging
import os
import shutil
import warnings
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from sweeps.engine.credentials import hide_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET = {
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # by default a call to a server that is down blocks for four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Environment of every client of ours, where the user has not said otherwise."""
_LOCK_S = 600
"""Longer than others take to write a large table through a busy server."""
_ANSWERED: set[str] = set()
"""Servers that were there when this process asked first."""


class TrackingError(Exception):
    """MLflow cannot be used. Nothing is lost: results are files, and launching again logs what is missing."""

    def __init__(self, uri: str, reason: object) -> None:
        first = hide_credentials(str(reason)).strip().splitlines() or ["no reason given"]
        super().__init__(
            f"the MLflow store {hide_credentials(uri)} must be reachable and writable, but: {first[0][:500]}; "
            "check the tracking URI of the site, that its server runs, and its user name and password; "
            "then launch again: results are on disk, what is missing in MLflow is added"
        )


@contextmanager
def reaching(uri: str) -> Generator[None]:
    """Turns whatever MLflow, its database or the disk raise into a TrackingError."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, RequestException, OSError) as error:
        raise TrackingError(uri, error) from None  # the cause would print the URI with its password


def connect(uri: str) -> "MlflowClient":
    """A client; a database is opened, a server is not asked yet. Sets the quiet environment for this process."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from sqlalchemy.exc import SADeprecationWarning

    with reaching(uri), warnings.catch_warnings():
        warnings.simplefilter("ignore", SADeprecationWarning)  # MLflow's own models, with SQLAlchemy 2.1
        return MlflowClient(tracking_uri=uri)


def prepare(uri: str) -> None:
    """Creates or upgrades the database, once and before others open it; a server is only asked whether it is there, and
    only once: where it goes away later, trainings go on without it.

    An older database is copied beside itself before it is upgraded. Raises TrackingError.
    """
    database = sqlite_file(uri)
    if database is None:
        if uri not in _ANSWERED:
            with reaching(uri):
                connect(uri).search_experiments(max_results=1)
            _ANSWERED.add(uri)
        return
    with locked(uri), reaching(uri):
        _check_file(uri, database)
        _upgrade(uri, database)


@contextmanager
def locked(uri: str, beside: Path | None = None) -> Generator[None]:
    """One driver at a time for a SQLite store; of other stores, which have no lock that clients could hold, one of
    those that share the file ``beside``."""
    database = sqlite_file(uri)
    path = beside if database is None else database.with_name(f"{database.name}.lock")
    if path is None:
        yield
        return
    with reaching(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=_LOCK_S)
        try:
            lock.acquire()
        except Timeout:
            raise TrackingError(uri, f"another process has held {lock.lock_file} for {_LOCK_S} s") from None
    try:
        yield
    finally:
        lock.release()


def sqlite_file(uri: str) -> Path | None:
    """The absolute path of a SQLite store, or None for another kind of store."""
    if not uri.startswith("sqlite:"):
        return None
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    if not name:
        raise TrackingError(uri, "a SQLite store needs a file, such as sqlite:////home/me/fsar/mlflow.db")
    return Path(name).absolute()


def find_or_create_experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """The experiment's id. A deleted one is restored. Of a SQLite store, artefacts lie beside the database."""
    from mlflow.entities import LifecycleStage
    from mlflow.exceptions import MlflowException

    database = sqlite_file(uri)
    location = None if database is None else (database.parent / "artifacts" / name.replace("/", "-")).as_uri()
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            created = client.create_experiment(name, artifact_location=location)
            client.set_experiment_tag(created, "mlflow.experimentKind", "custom_model_development")  # opens its runs
            return created
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # created by another client in between?
            if found is None:
                raise error
    if found.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


class Value(NamedTuple):
    """One point of a metric."""

    name: str
    value: float
    time_ms: int
    step: int = 0


def log(
    client: "MlflowClient",
    run_id: str,
    *,
    metrics: Iterable[Value] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """One call, or none if there is nothing to log."""
    from mlflow.entities import Metric, Param, RunTag

    points = [Metric(*value) for value in metrics]
    settings = [Param(key, value) for key, value in (params or {}).items()]
    marks = [RunTag(key, value) for key, value in (tags or {}).items()]
    if points or settings or marks:
        client.log_batch(run_id, metrics=points, params=settings, tags=marks)


def _check_file(uri: str, database: Path) -> None:
    """Before MLflow, which tries ten times for 100 s to open what is no database."""
    if database.is_dir():
        raise TrackingError(uri, f"{database} is a folder")
    with database.open("a+b") as file:
        file.seek(0)
        head = file.read(16)
    if head and head != b"SQLite format 3\0":
        raise TrackingError(uri, f"{database} is not a SQLite database")


def _upgrade(uri: str, database: Path) -> None:
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # else it tells every step
    try:
        connect(uri)
    except TrackingError as error:
        if "out-of-date database schema" not in str(error):
            raise
        from mlflow.db import upgrade

        shutil.copy2(database, database.with_name(f"{database.name}.before-upgrade"))
        upgrade.main([uri], standalone_mode=False)
        connect(uri)
