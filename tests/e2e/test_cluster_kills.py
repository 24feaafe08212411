"""A sweep and a search on a Ray of several nodes, recorded on PostgreSQL, while everything they stand on is killed."""

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest

from sweeps.engine.records import RunRecord
from sweeps.engine.search_study import KEY, TWIN
from tests.e2e import longer_sweep
from tests.e2e.killed_work import Lost, Work, begun_at, intervals, lost, saving, times_trained, works
from tests.e2e.mlflow_server import TrackingServer, assert_once, recorded, served
from tests.e2e.postgres import Postgres, environment, postgres
from tests.e2e.processes import ends
from tests.e2e.ray_cluster import Nodes, ray_cluster
from tests.e2e.sweeping import LIMIT_S, Place, wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]
CHECKPOINT_S = 2.0
LOGGED_S = 1.0
"""Of a time in a log, at most so much is cut off."""
NOTICED_S = 0.3
"""Until a death is noticed, and of a step that takes longer than those before it: the cores are shared by all."""
ROWS = 1 + len(longer_sweep.WEIGHTS)
SWEEP = {"training": ROWS, "cell": 2 * ROWS, "table": 1}
POINTS = 5
SEARCH = {"training": POINTS + 2, "trial": POINTS, "search": 1}  # also backbone and class-score network
FLAGS = ("--search", str(POINTS), "--no-stopping", "--finals", "0", "--no-path")
MLFLOW, STUDIES = "mlflow", "studies"
"""Databases."""


@dataclass(frozen=True)
class Ground:
    """What sweeps stand on."""

    nodes: Nodes
    database: Postgres
    server: TrackingServer

    def place(self, folder: Path, benchmark: Path, **own: Path) -> Place:
        """With studies on PostgreSQL."""
        folder.mkdir()
        uris = {"tracking": self.server.url, "study": self.database.uri(STUDIES).replace("://", "+psycopg://")}
        head = "".join(f'{name}_uri = "{uri}"\n' for name, uri in uris.items())
        variables = environment() | {"RAY_ADDRESS": self.nodes.address}
        return Place(folder, benchmark, CHECKPOINT_S, head=f'ray = "auto"\n{head}', variables=variables, **own)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ground]:
    with postgres() as database, ray_cluster(nodes=2) as nodes:
        database.create(STUDIES)
        store = ("--store", database.create(MLFLOW))
        with served(TrackingServer(tmp_path_factory.mktemp("server"), store, environment())) as server:
            yield Ground(nodes, database, server)


def at_work(place: Place, nodes: Nodes) -> list[Work]:
    """The trainings that a living worker has begun."""
    pids = {process.pid for process in nodes.workers()}
    return [work for work in works(place.storage) if work.pid in pids]


def finished(place: Place) -> list[Path]:
    """Folders of trainings."""
    return [path.parent for path in (place.storage / "runs").glob("*/run.json")]


@dataclass
class Launches:
    """The same command again and again, and what was killed meanwhile."""

    ground: Ground
    place: Place
    flags: tuple[str, ...] = ()
    took: dict[str, list[Lost]] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    """With which drivers ended that were not killed."""

    def __post_init__(self) -> None:
        self._before = recorded(self.ground.database, MLFLOW)

    def recorded(self) -> Counter[str]:
        """Runs of each kind that MLflow has of them."""
        return recorded(self.ground.database, MLFLOW) - self._before

    @property
    def log(self) -> Path:
        return self.place.folder / "driver.log"

    def launch(self) -> None:
        self._driver = self.place.start(*self.flags)

    def close(self) -> None:
        """A test that failed leaves a driver."""
        self._driver.kill()
        self._driver.wait()

    def end(self) -> None:
        self.codes.append(self._driver.wait(timeout=LIMIT_S))

    def until(self, condition: Callable[[], object]) -> None:
        wait_until(condition, self._driver, self.log, every_s=0.1)

    def next_ended(self) -> None:
        """Waits for one more training to end."""
        before = len(finished(self.place))
        self.until(lambda: len(finished(self.place)) > before)

    def in_training(self, *, nodes: int) -> None:
        """Waits for so many trainings to have gone on after two checkpoints at least."""
        self.until(lambda: len(self._between_checkpoints()) >= nodes)

    def _between_checkpoints(self) -> list[Work]:
        before = time.time() - CHECKPOINT_S / 4
        return [work for work in at_work(self.place, self.ground.nodes) if work.saved >= 2 and work.saved_at < before]

    def kill_node(self) -> None:
        """And puts another one in its place."""
        ended = self.ground.nodes.kill(self.ground.nodes.all()[0])
        self.took["node"] = lost(self.place.storage, ended)
        self.ground.nodes.add()

    def kill_driver(self) -> None:
        """Its workers are ended by Ray."""
        workers = self.ground.nodes.workers()
        self._driver.kill()
        self._driver.wait()
        self.took["driver"] = lost(self.place.storage, ends(workers))


@pytest.fixture(scope="module")
def sweep(ground: Ground, benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Launches]:
    """A node, the tracking server and the driver killed in one launch, PostgreSQL in the next; then a third one."""
    folder = tmp_path_factory.mktemp("cluster") / "sweep"
    launches = Launches(ground, ground.place(folder, benchmark, script=Path(longer_sweep.__file__)))
    with closing(launches):
        launches.launch()
        launches.in_training(nodes=2)
        launches.kill_node()
        launches.in_training(nodes=1)
        ground.server.kill()
        launches.next_ended()
        launches.in_training(nodes=1)
        launches.kill_driver()
        ground.server.start()
        launches.launch()
        launches.in_training(nodes=1)
        ground.database.kill()
        launches.next_ended()
        ground.database.start()
        launches.end()
        launches.launch()
        launches.end()
        yield launches


def test_every_cell_of_the_sweep_is_there_once_in_the_files_and_in_mlflow(sweep: Launches) -> None:
    place = sweep.place
    assert sweep.codes[-1] == 0, sweep.log.read_text()[-4000:]
    assert len(finished(place)) == SWEEP["training"]
    assert len(list((place.storage / "runs").glob("*/evaluations/*.json"))) == SWEEP["cell"]
    assert not list((place.storage / "runs").glob("*/failure.json"))
    assert [folder.name for folder in finished(place) if times_trained(folder) != 1] == []
    assert sweep.recorded() == SWEEP
    assert_once(sweep.ground.database, MLFLOW)


def test_the_killed_trainings_went_on_from_their_checkpoints_and_no_other_began_again(sweep: Launches) -> None:
    """So that neither the tracking server nor PostgreSQL has taken anything."""
    began = {folder.name: [0] for folder in finished(sweep.place)}
    for took in sweep.took.values():
        for work in took:
            began[work.key].append(work.step)
    assert {folder.name: begun_at(folder) for folder in finished(sweep.place)} == began
    for folder in finished(sweep.place):
        record = RunRecord.model_validate_json((folder / "run.json").read_bytes())
        assert list(record.resumed_at) == began[folder.name][1:]


def test_no_kill_takes_more_than_one_interval_between_checkpoints(
    sweep: Launches, record_testsuite_property: Callable[[str, object], None]
) -> None:
    seconds = {what: [work.seconds for work in took] for what, took in sweep.took.items()}
    record_testsuite_property("repeated", seconds)
    assert len(seconds["node"]) == 1
    assert 1 <= len(seconds["driver"]) <= 2
    pauses = [own for folder in finished(sweep.place) for own in saving(folder)]
    lengths = [length for folder in finished(sweep.place) for length, steps in intervals(folder) if steps > 1]
    record_testsuite_property("saving", sorted(pauses))
    # A checkpoint is saved before the step that would end later than the site allows; while it is, nothing is trained.
    assert median(lengths) <= CHECKPOINT_S + LOGGED_S
    most = CHECKPOINT_S + max(pauses) + NOTICED_S
    assert all(0 < own <= most for took in seconds.values() for own in took), seconds


@pytest.fixture(scope="module")
def search(ground: Ground, benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Launches]:
    """PostgreSQL, which has the study, killed after some points; then the same command again."""
    launches = Launches(ground, ground.place(tmp_path_factory.mktemp("cluster") / "search", benchmark), FLAGS)
    complete = "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'"
    with closing(launches):
        launches.launch()
        launches.until(lambda: finished(launches.place))  # from then on the database has the study's tables
        launches.until(
            lambda: int(ground.database.sql(STUDIES, complete)[0]) >= 2 and at_work(launches.place, ground.nodes)
        )
        ground.database.kill()
        launches.end()
        ground.database.start()
        launches.launch()
        launches.end()
        yield launches


def test_a_search_whose_database_dies_ends_with_the_reason_and_what_to_do(search: Launches) -> None:
    said = search.log.read_text()
    assert search.codes == [2, 0], said[-6000:]
    assert "stopped the Optuna database postgresql+psycopg://***@127.0.0.1" in said
    assert "then launch again" in said
    assert "Traceback" not in said


def test_launched_again_the_study_holds_every_point_once(search: Launches) -> None:
    database = search.ground.database
    assert database.sql(STUDIES, "SELECT DISTINCT state FROM trials") == ["COMPLETE"]
    keys = f"SELECT COUNT(*), COUNT(DISTINCT value_json) FROM trial_user_attributes WHERE key = '{KEY}'"
    keys += f" AND trial_id NOT IN (SELECT trial_id FROM trial_user_attributes WHERE key = '{TWIN}')"
    assert database.sql(STUDIES, keys) == [f"{POINTS}|{POINTS}"]
    assert search.recorded() == SEARCH
    assert_once(database, MLFLOW)


def test_no_training_of_the_search_was_begun_twice(search: Launches) -> None:
    """Those at work when the database died came to their end, and the study was told of them later."""
    folders = finished(search.place)
    assert [(begun_at(folder), times_trained(folder)) for folder in folders] == [([0], 1)] * SEARCH["training"]
