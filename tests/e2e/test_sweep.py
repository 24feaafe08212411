"""The sweep script from a user's side: plan, table, nothing done twice, search, refusals."""

import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.engine.search_study import KEY, counted, points
from tests.e2e.sweeping import Place

pytestmark = pytest.mark.timeout(900)
ROWS = ("baseline", "encoder only", "random 25%", "random 75%", "saliency 0%", "saliency 50%")


@pytest.fixture(scope="module")
def place(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("sweep"), benchmark)


@pytest.fixture(scope="module")
def first(place: Place) -> str:
    """The output of the first sweep on this storage."""
    done = place.run()
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_dry_run_prints_the_plan_and_launches_nothing(benchmark: Path, tmp_path: Path) -> None:
    fresh = Place(tmp_path, benchmark)
    done = fresh.run("--dry-run")
    assert done.returncode == 0, done.stdout
    said = " ".join(done.stdout.split())
    for line in (
        "cells 20 with seeds",
        "trainings 11: 0 known, 0 begun; 2 are needed by others first",
        "tests 18: 0 known; 2 cells take their number from another cell's test",
        "to do 132 steps",
    ):
        assert line in said
    assert not (fresh.storage / "runs").exists()


def test_the_table_stands_in_the_output_and_in_files(first: str, place: Place) -> None:
    words = " ".join(first.split())
    for text in (*ROWS, "75.18", "not comparable with motionshapes"):
        assert text in words
    folder = place.storage / "tables" / "mask_ratio" / "motionshapes-smoke"
    assert sorted(path.name for path in folder.iterdir()) == [
        "plot.pdf", "plot.png", "table.csv", "table.html", "table.md", "table.tex",
    ]  # fmt: skip
    assert len((folder / "table.csv").read_text().splitlines()) == 21


def test_a_second_sweep_finds_everything_recorded(first: str, place: Place) -> None:
    assert first
    before = {path: path.stat().st_mtime_ns for path in (place.storage / "runs").rglob("*.json")}
    rows = mlflow_rows(place)
    again = place.run()
    assert again.returncode == 0, again.stdout
    assert "training:" not in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (place.storage / "runs").rglob("*.json")} == before
    assert mlflow_rows(place) == rows


def test_more_seeds_train_only_what_is_new(first: str, place: Place) -> None:
    assert first
    plan = place.run("--dry-run", "--seeds", "2")
    assert "trainings 20: 11 known" in (said := " ".join(plan.stdout.split()))
    assert "to do 108 steps" in said


def test_a_search_is_continued_and_leaves_test_alone(first: str, place: Place) -> None:
    assert first
    tests = set((place.storage / "runs").glob("*/evaluations/*"))
    one = place.run("--search", "3", "--finals", "0")
    assert one.returncode == 0, one.stdout
    two = place.run("--search", "+2", "--finals", "0")
    assert two.returncode == 0, two.stdout
    assert "the study now asks for 5 points" in two.stdout
    assert set((place.storage / "runs").glob("*/evaluations/*")) == tests
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{place.storage / 'studies.db'}")
    found = points(study)
    assert {trial.state for trial in found} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len({trial.user_attrs[KEY] for trial in found}) == len(found)
    assert len(counted(study)) == 5
    assert found[0].params == {"region": "ambiguous_visible", "masked_in_2s": 4, "lambda": 0.5}
    with sqlite3.connect(place.storage / "mlflow.db") as database:
        trials = database.execute("SELECT COUNT(*) FROM tags WHERE key = 'fsar.kind' AND value = 'trial'").fetchone()[0]
    assert trials == len(found)


def mlflow_rows(place: Place) -> dict[str, int]:
    """How much stands in each table of MLflow's database."""
    with sqlite3.connect(place.storage / "mlflow.db") as database:
        return {
            table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("runs", "metrics", "params", "tags", "experiments")
        }
