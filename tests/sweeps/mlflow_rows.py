"""What stands in a SQLite store of MLflow."""

import sqlite3

from mlflow import MlflowClient
from mlflow.entities import Run


def runs(uri: str, experiment: str = "runs") -> list[Run]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], max_results=1000))


def everything(uri: str) -> dict[str, int]:
    """Rows of all tables that logging fills."""
    names = ("experiments", "runs", "params", "metrics", "latest_metrics", "tags", "experiment_tags")
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        rows = {name: database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}
    database.close()
    return rows
