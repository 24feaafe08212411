"""The schema of MLflow's database brought up to date, by one process before the server has several."""

import logging
import os

from sweeps.engine.databases import Database
from sweeps.engine.tracking_connection import prepare, reaching


def upgraded(store: Database) -> None:
    """Makes the tables of an empty database, or upgrades older ones; a SQLite file is copied first. Raises
    TrackingError."""
    if store.file is not None:
        prepare(store.uri)
        return
    os.environ.update(store.environment())
    for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)  # else they tell every step
    from mlflow.db import upgrade

    with reaching(store.uri):
        upgrade.main([store.uri], standalone_mode=False)
