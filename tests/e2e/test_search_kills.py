"""A search whose driver is killed again and again ends as if nothing had happened."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from sweeps.engine.records import RunRecord
from sweeps.engine.search_study import KEY, counted
from tests.e2e.sweeping import Place, kill_driver, wait_until

pytestmark = pytest.mark.timeout(1500)
POINTS = 20
NEEDED = 2  # the class-score network, the pretrained backbone
FLAGS = ("--search", str(POINTS), "--no-stopping", "--finals", "0", "--no-path")


def asked(database: Path, question: str) -> int:
    """A number from a database; 0 while it is not there."""
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reader:
            return reader.execute(question).fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def trials(place: Place, state: TrialState) -> int:
    return asked(place.storage / "studies.db", f"SELECT COUNT(*) FROM trials WHERE state = '{state.name}'")


def children(place: Place) -> int:
    question = "SELECT COUNT(*) FROM tags WHERE key = 'fsar.kind' AND value = 'trial'"
    return asked(place.storage / "mlflow.db", question)


def checkpoints(place: Place) -> dict[str, int]:
    """The step of every run's newest checkpoint, of runs that are not finished."""
    found: dict[str, int] = {}
    for path in (place.storage / "runs").glob("*/checkpoints/step-*"):
        folder = path.parents[1]
        if not (folder / "run.json").exists():
            found[folder.name] = max(found.get(folder.name, 0), int(path.name.removeprefix("step-")))
    return found


MOMENTS: dict[str, Callable[[Place], object]] = {
    "before what the points need is trained": lambda place: trials(place, TrialState.RUNNING),
    "after the first points": lambda place: trials(place, TrialState.COMPLETE) >= 2,
    "in a training": lambda place: trials(place, TrialState.COMPLETE) >= 5 and checkpoints(place),
    "late in the study": lambda place: trials(place, TrialState.COMPLETE) >= 14,
    "while the points are recorded": lambda place: children(place) >= 3,
}


@pytest.fixture(scope="module")
def disturbed(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, dict[str, list[int]]]:
    """A search with its driver killed five times, then left alone; and the checkpoints that the kills left."""
    place = Place(tmp_path_factory.mktemp("search"), benchmark)
    left: dict[str, list[int]] = {}
    for moment in MOMENTS.values():
        driver = place.start(*FLAGS)
        wait_until(lambda moment=moment: moment(place), driver, place.folder / "driver.log")
        kill_driver(driver)
        for key, step in checkpoints(place).items():
            left.setdefault(key, []).append(step)
    done = place.run(*FLAGS)
    assert done.returncode == 0, done.stdout
    return place, left


@pytest.fixture(scope="module")
def points(disturbed: tuple[Place, dict[str, list[int]]]) -> list[FrozenTrial]:
    place, _ = disturbed
    return counted(optuna.load_study(study_name=None, storage=f"sqlite:///{place.storage / 'studies.db'}"))


def test_the_study_holds_as_many_distinct_finished_points_as_were_asked_for(points: list[FrozenTrial]) -> None:
    assert [trial.state for trial in points] == [TrialState.COMPLETE] * POINTS
    assert len({trial.user_attrs[KEY] for trial in points}) == POINTS


def test_no_training_was_made_that_no_point_has_asked_for(
    disturbed: tuple[Place, dict[str, list[int]]], points: list[FrozenTrial]
) -> None:
    place, _ = disturbed
    folders = {path.parent.name for path in (place.storage / "runs").glob("*/run.json")}
    keys = {trial.user_attrs[KEY] for trial in points}
    assert keys <= folders
    assert len(folders - keys) == NEEDED
    assert not list((place.storage / "runs").glob("*/failure.json"))


def test_every_point_stands_once_in_mlflow(disturbed: tuple[Place, dict[str, list[int]]]) -> None:
    place, _ = disturbed
    with sqlite3.connect(place.storage / "mlflow.db") as database:
        kinds = Counter(row[0] for row in database.execute("SELECT value FROM tags WHERE key = 'fsar.kind'"))
        keys = [row[0] for row in database.execute("SELECT value FROM tags WHERE key = 'fsar.key'")]
        states = {row[0] for row in database.execute("SELECT status FROM runs")}
    assert kinds == {"search": 1, "trial": POINTS, "training": POINTS + NEEDED}
    assert len(keys) == len(set(keys))
    assert states == {"FINISHED"}


def test_a_training_that_had_a_checkpoint_went_on_from_it(disturbed: tuple[Place, dict[str, list[int]]]) -> None:
    place, left = disturbed
    for key, steps in left.items():
        record = RunRecord.model_validate_json((place.storage / "runs" / key / "run.json").read_bytes())
        assert set(steps) <= set(record.resumed_at), (
            f"{key} had checkpoints at {steps}, went on from {record.resumed_at}"
        )
