"""A busy week of a group: four tables and four searches at once, on one cluster, one storage, one tracking server."""

import subprocess
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeps.engine.search_study import KEY, TWIN
from tests.e2e.killed_work import begun_at, times_trained
from tests.e2e.mlflow_server import TrackingServer, assert_once, recorded, served
from tests.e2e.postgres import Postgres, environment, postgres
from tests.e2e.ray_cluster import ray_cluster
from tests.e2e.sweeping import LIMIT_S, REPOSITORY, Place

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]
TABLES = (
    ("mask_ratio.py",),
    ("frame_count.py",),
    ("loss_weights.py",),
    ("paper_tables.py", "sgtm/table6", "--dataset", "motionshapes"),
)
POINTS = 3
_SEARCH = ("--search", str(POINTS), "--no-stopping", "--finals", "0", "--no-path")
SEARCHES = tuple((f"{space}.py", *_SEARCH) for space in ("mask_ratio", "frame_count", "loss_weights", "cardinality"))
CELLS, TRAININGS = 20 + 10 + 6 + 6, 11 + 6 + 8 + 3
"""Of the tables; of each as if it were alone."""
MLFLOW, STUDIES = "mlflow", "studies"
"""Databases."""


@dataclass(frozen=True)
class Ended:
    """What eight drivers, started in one moment, left behind."""

    place: Place
    database: Postgres
    codes: dict[str, int]
    said: dict[str, str]

    @property
    def runs(self) -> list[Path]:
        return sorted(path.parent for path in (self.place.storage / "runs").glob("*/run.json"))


@pytest.fixture(scope="module")
def ended(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Ended]:
    with postgres() as database, ray_cluster(nodes=2) as nodes:
        folder = tmp_path_factory.mktemp("many")
        studies = database.create(STUDIES).replace("://", "+psycopg://")
        server = TrackingServer(tmp_path_factory.mktemp("server"), ("--store", database.create(MLFLOW)), environment())
        with served(server):
            head = f'ray = "auto"\ntracking_uri = "{server.url}"\nstudy_uri = "{studies}"\n'
            variables = environment() | {"RAY_ADDRESS": nodes.address}
            yield _launched(Place(folder, benchmark, head=head, variables=variables), database)


def _launched(place: Place, database: Postgres) -> Ended:
    commands = {" ".join(command): command for command in (*TABLES, *SEARCHES)}
    with ExitStack() as stack:
        drivers = {
            name: stack.enter_context(_driver(place, place.folder / f"{number}.log", command))
            for number, (name, command) in enumerate(commands.items())
        }
        stack.callback(lambda: [driver.kill() for driver in drivers.values()])
        codes = {name: driver.wait(timeout=2 * LIMIT_S) for name, driver in drivers.items()}
    said = {name: (place.folder / f"{number}.log").read_text() for number, name in enumerate(commands)}
    return Ended(place, database, codes, said)


def _driver(place: Place, log: Path, command: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    script, *flags = command
    python, _, *own = place.command(*flags)
    with log.open("wb") as out:
        return subprocess.Popen(
            [python, str(REPOSITORY / "sweeps" / script), *own],
            cwd=place.folder,
            env=place.environment(),
            stdout=out,
            stderr=out,
        )


def test_all_of_them_end_well(ended: Ended) -> None:
    failed = {name: ended.said[name][-3000:] for name, code in ended.codes.items() if code != 0}
    assert failed == {}
    assert len(ended.codes) == 8


def test_no_run_is_lost_or_there_twice_in_mlflow(ended: Ended) -> None:
    (trials,) = ended.database.sql(STUDIES, "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'")
    kinds = recorded(ended.database, MLFLOW)
    assert kinds == {
        "training": len(ended.runs),
        "table": len(TABLES),
        "cell": CELLS,
        "search": len(SEARCHES),
        "trial": int(trials),
    }
    assert_once(ended.database, MLFLOW)


def test_each_training_was_begun_and_ended_once_whoever_asked_for_it(ended: Ended) -> None:
    assert len(ended.runs) >= len(SEARCHES) * POINTS
    assert [(begun_at(folder), times_trained(folder)) for folder in ended.runs] == [([0], 1)] * len(ended.runs)
    # Tables and searches share trainings.
    assert len(ended.runs) < TRAININGS + len(SEARCHES) * POINTS


def test_every_study_has_each_of_its_points_once(ended: Ended) -> None:
    points = "SELECT t.study_id, COUNT(*), COUNT(DISTINCT a.value_json) FROM trials t JOIN trial_user_attributes a"
    points += f" ON a.trial_id = t.trial_id AND a.key = '{KEY}' WHERE t.trial_id NOT IN"
    points += f" (SELECT trial_id FROM trial_user_attributes WHERE key = '{TWIN}') GROUP BY t.study_id"
    counts = [tuple(map(int, row.split("|"))) for row in ended.database.sql(STUDIES, points)]
    assert len(counts) == len(SEARCHES)
    assert all(count == distinct >= POINTS for _, count, distinct in counts)
