"""Making runs in MLflow, each once: it has neither ids of ours nor unique keys, and repeats requests that got lost."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_TRIES = 3
_PATIENT_S = 60.0
"""For a server that is busy: a request that was given up may still be carried out."""


def create_run(
    client: "MlflowClient", experiment: str, tags: Mapping[str, str], name: str, started_ms: int | None = None
) -> "Run":
    """A new run; ``tags`` have its ``fsar.key``. Where the answer is lost, the run is looked for before another is
    made: MLflow's own repetition would make two."""
    from mlflow.exceptions import MlflowException

    for left in reversed(range(_TRIES)):
        try:
            with _sent_once():
                return client.create_run(experiment, start_time=started_ms, tags=dict(tags), run_name=name)
        except MlflowException:
            if not left:
                raise
        found = client.search_runs([experiment], f"tags.`fsar.key` = '{tags['fsar.key']}'", max_results=1)
        if found:
            return found[0]
    raise AssertionError("the last try returns or raises")


def withdraw(client: "MlflowClient", run_id: str) -> None:
    """Deletes a younger run of a key: drivers on different storages, which share no lock, may make the same run in the
    same moment. Where the account may not delete it, it stays."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        client.delete_run(run_id)


@contextmanager
def _sent_once() -> Generator[None]:
    """MLflow reads these at every request."""
    patient = max(_PATIENT_S, float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "0")))
    own = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": f"{patient:.0f}"}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
