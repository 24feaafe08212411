"""Stores of results and of MLflow, launches without Ray and a display, for the tests of this folder."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from sweeps.engine.plan import Plan
from sweeps.engine.records import Store
from sweeps.engine.tracking import prepare
from sweeps.engine.watch import Display
from tests.sweeps.made_launch import Outcome, without_launch


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


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outcome], list[Plan]]:
    """Says what becomes of every run; gives the plans that were carried out."""
    return without_launch(monkeypatch)


@pytest.fixture
def output() -> io.StringIO:
    """What ``display`` has shown."""
    return io.StringIO()


@pytest.fixture
def display(output: io.StringIO) -> Display:
    """Not a terminal: lines instead of bars."""
    return Display(Console(file=output, width=200))
