"""Stores of results and of MLflow for the tests of this folder."""

import shutil
from pathlib import Path

import pytest

from sweeps.engine.records import Store
from sweeps.engine.tracking import prepare


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database: making one takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    prepare(f"sqlite:///{path}")
    return path


@pytest.fixture
def uri(empty_mlflow: Path, tmp_path: Path) -> str:
    """Of a fresh MLflow store."""
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store of results."""
    return Store(tmp_path / "store")
