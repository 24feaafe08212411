"""Nothing is lost and nothing is done twice, whatever is killed and whenever."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.engine.records import RunRecord
from tests.e2e.processes import kill
from tests.e2e.sweeping import Place, kill_driver, wait_until, workers

pytestmark = pytest.mark.timeout(1500)
RUNS = 11  # nine rows of one seed, the class-score network, the pretrained backbone
EVALUATIONS = 18
CELLS = 20


def files(place: Place, pattern: str) -> list[Path]:
    return list((place.storage / "runs").glob(pattern))


def checkpoints(place: Place) -> dict[str, int]:
    """The step of every run's newest checkpoint, of runs that are not finished."""
    found: dict[str, int] = {}
    for path in files(place, "*/checkpoints/step-*"):
        folder = path.parents[1]
        if not (folder / "run.json").exists():
            found[folder.name] = max(found.get(folder.name, 0), int(path.name.removeprefix("step-")))
    return found


def evaluated(place: Place) -> int:
    """Runs with an evaluation; the two that only others need never have one."""
    return len({path.parent for path in files(place, "*/evaluations/*.json")})


DRIVER_MOMENTS: dict[str, Callable[[Place], object]] = {
    "before any run has begun": lambda place: (place.storage / "locks" / "mask_ratio.lock").exists(),
    "in the first training": lambda place: files(place, "*/checkpoints/step-*"),
    "between a training and its evaluations": lambda place: len(files(place, "*/run.json")) >= 3 + evaluated(place),
    "in the middle of the grid": lambda place: len(files(place, "*/evaluations/*.json")) >= 6,
    "late in the grid": lambda place: len(files(place, "*/run.json")) >= 8 and checkpoints(place),
    "while the last results are recorded": lambda place: len(files(place, "*/evaluations/*.json")) == EVALUATIONS,
}


@pytest.fixture(scope="module")
def undisturbed(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("undisturbed"), benchmark)
    done = place.run()
    assert done.returncode == 0, done.stdout
    return place


@pytest.fixture(scope="module")
def disturbed(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, dict[str, list[int]]]:
    """The same sweep with its driver killed six times; and the steps of the checkpoints that the kills left."""
    place = Place(tmp_path_factory.mktemp("disturbed"), benchmark)
    left: dict[str, list[int]] = {}
    for moment in DRIVER_MOMENTS.values():
        driver = place.start()
        wait_until(lambda moment=moment: moment(place), driver, place.folder / "driver.log")
        kill_driver(driver)
        for key, step in checkpoints(place).items():
            left.setdefault(key, []).append(step)
    done = place.run()
    assert done.returncode == 0, done.stdout
    return place, left


def test_every_cell_is_there_once(disturbed: tuple[Place, dict[str, list[int]]]) -> None:
    place, _ = disturbed
    assert len(files(place, "*/run.json")) == RUNS
    assert len(files(place, "*/evaluations/*.json")) == EVALUATIONS
    assert files(place, "*/failure.json") == []
    assert_recorded_once(place)


def test_the_numbers_are_those_of_an_undisturbed_sweep(
    undisturbed: Place, disturbed: tuple[Place, dict[str, list[int]]]
) -> None:
    place, _ = disturbed
    theirs = {path.name: path.read_bytes() for path in files(undisturbed, "*/evaluations/*.parquet")}
    mine = {path.name: path.read_bytes() for path in files(place, "*/evaluations/*.parquet")}
    assert mine == theirs


def test_a_training_that_had_a_checkpoint_went_on_from_it(disturbed: tuple[Place, dict[str, list[int]]]) -> None:
    place, left = disturbed
    assert left, "no kill has met a training"
    for key, steps in left.items():
        record = RunRecord.model_validate_json((place.storage / "runs" / key / "run.json").read_bytes())
        assert set(steps) <= set(record.resumed_at), (
            f"{key} had checkpoints at {steps}, went on from {record.resumed_at}"
        )


def test_killed_workers_are_replaced_and_their_runs_go_on(
    benchmark: Path, undisturbed: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("workers"), benchmark)
    driver = place.start()
    log = place.folder / "driver.log"
    left: dict[str, int] = {}
    for count in (0, 3, 6):
        wait_until(lambda count=count: len(files(place, "*/run.json")) >= count and checkpoints(place), driver, log)
        left |= checkpoints(place)
        kill(workers(driver))
    assert driver.wait(timeout=420) == 0, log.read_text()[-4000:]
    assert {path.name for path in files(place, "*/evaluations/*.parquet")} == {
        path.name for path in files(undisturbed, "*/evaluations/*.parquet")
    }
    assert_recorded_once(place)
    records = [RunRecord.model_validate_json(path.read_bytes()) for path in files(place, "*/run.json")]
    assert any(record.resumed_at for record in records)
    for key, step in left.items():
        record = RunRecord.model_validate_json((place.storage / "runs" / key / "run.json").read_bytes())
        assert record.resumed_at, f"{key} had a checkpoint at {step} and began again"
        assert min(record.resumed_at) >= step


def assert_recorded_once(place: Place) -> None:
    """One MLflow run per training, one parent and a child per cell, one point per metric and step."""
    with sqlite3.connect(place.storage / "mlflow.db") as database:
        kinds = Counter(row[0] for row in database.execute("SELECT value FROM tags WHERE key = 'fsar.kind'"))
        keys = [row[0] for row in database.execute("SELECT value FROM tags WHERE key = 'fsar.key'")]
        doubled = database.execute(
            "SELECT run_uuid, key, step, COUNT(*) FROM metrics GROUP BY run_uuid, key, step HAVING COUNT(*) > 1"
        ).fetchall()
        states = {row[0] for row in database.execute("SELECT status FROM runs")}
    assert kinds == {"training": RUNS, "table": 1, "cell": CELLS}
    assert len(keys) == len(set(keys))
    assert doubled == []
    assert states == {"FINISHED"}


def test_json_of_the_records_is_whole(disturbed: tuple[Place, dict[str, list[int]]]) -> None:
    place, _ = disturbed
    for path in files(place, "*/*.json"):
        assert json.loads(path.read_text())
