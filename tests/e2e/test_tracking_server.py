"""Tracking as a group has it: MLflow's server with accounts on PostgreSQL, written to by many at once, and killed."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeps.engine.records import Store
from sweeps.engine.tracking_health import status
from tests.e2e.mlflow_server import (
    ADMIN,
    SECRET_KEY,
    STUDENT,
    TrackingServer,
    account,
    assert_once,
    fsar,
    recorded,
    served,
)
from tests.e2e.postgres import PASSWORD, Postgres, environment, postgres
from tests.e2e.sweeping import LIMIT_S, REPOSITORY, Place, wait_until
from tests.sweeps.made_records import fill, small_table

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
DRIVERS = 6
SEEDS = 2
ROWS = 3
"""Of the table that made-up drivers record."""
FRAME_COUNT = {"training": 6, "cell": 10}
POINTS = 3
_RECORDING = str(Path(__file__).with_name("recording_driver.py"))


@pytest.fixture(scope="module")
def database() -> Generator[Postgres]:
    with postgres() as own:
        yield own


def server_of(database: Postgres, name: str, folder: Path) -> TrackingServer:
    own = {"MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN, "MLFLOW_FLASK_SERVER_SECRET_KEY": SECRET_KEY}
    return TrackingServer(folder, ("--store", database.create(name), "--accounts"), environment() | own)


@pytest.fixture(scope="module")
def together(database: Postgres, benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a sweep, a search and six drivers with finished tables have run at the same time."""
    folder = tmp_path_factory.mktemp("together")
    database.create("studies")
    with served(server_of(database, "together", folder)) as server:
        add_account(server, "student", STUDENT)
        assert status(f"{server.url}/api/2.0/mlflow/experiments/search?max_results=1")[0] == 401
        place = place_of(folder, benchmark, server, database)
        with ended(
            *recording(server, folder / "made", DRIVERS),
            started(sweep_command(place, "frame_count.py"), client()),
            started(
                sweep_command(place, "mask_ratio.py", "--search", str(POINTS), "--finals", "0", "--no-stopping"),
                client(),
            ),
        ) as everybody:
            said = {process.pid: process.communicate(timeout=LIMIT_S)[0].decode() for process in everybody}
        assert [process.returncode for process in everybody] == [0] * (DRIVERS + 2), "\n".join(said.values())
    (folder / "said.json").write_text(json.dumps(list(said.values())))
    return folder


def test_every_run_is_there_once_and_finished(together: Path, database: Postgres) -> None:
    kinds = recorded(database, "together")
    trained = len(list((together / "place" / "output" / "runs").glob("*/run.json")))
    assert trained >= FRAME_COUNT["training"]
    assert kinds == {
        "training": ROWS * SEEDS + trained,
        "table": DRIVERS + 1,
        "cell": DRIVERS * ROWS + FRAME_COUNT["cell"],
        "search": 1,
        "trial": trials(database),
    }
    assert_once(database, "together")


def test_the_study_of_the_search_is_in_postgresql(together: Path, database: Postgres) -> None:
    assert trials(database) >= POINTS  # rows of the other sweep that are points of the space count beside them
    assert database.sql("studies", "SELECT DISTINCT state FROM trials") == ["COMPLETE"]
    assert not list(together.rglob("studies.db"))


def test_no_password_is_written_anywhere(together: Path, database: Postgres) -> None:
    places = {str(path): path.read_bytes() for path in together.rglob("*") if path.is_file()}
    places |= {name: database.dump(name).encode() for name in ("together", "studies")}
    places["the log of PostgreSQL"] = (database.folder / "log").read_bytes()
    assert len(places) > 50
    for secret in (PASSWORD, ADMIN, STUDENT, SECRET_KEY):
        assert [name for name, content in places.items() if secret.encode() in content] == []


def test_a_backup_of_both_databases_comes_back_in_new_ones(together: Path, database: Postgres) -> None:
    old, new = together / "place" / "site.toml", together / "restored.toml"
    text = old.read_text().replace("/studies", "/studies_restored").replace("/place/output", "/restored")
    new.write_text(f'imports = "{together / "imports"}"\n{text}')
    uris = {"together": database.uri("together"), "restored": database.create("restored")}
    database.create("studies_restored")
    backups = together / "backups"
    command = [fsar(), "backup", str(backups), "--site", str(old), "--store", uris["together"]]
    subprocess.run(command, env=environment(), check=True)
    (made,) = backups.iterdir()
    command = [fsar(), "restore", str(made), "--site", str(new), "--store", uris["restored"]]
    subprocess.run(command, env=environment(), check=True)
    assert recorded(database, "restored") == recorded(database, "together")
    moved = {"together": "restored", "studies": "studies_restored"}
    for before, table in (
        ("together", "metrics"),
        ("together", "params"),
        ("together", "users"),
        ("studies", "trials"),
    ):
        after, count = moved[before], f"SELECT COUNT(*) FROM {table}"
        assert database.sql(before, count) == database.sql(after, count) != ["0"]
    runs = [len(list(path.glob("runs/*/run.json"))) for path in (together / "place" / "output", together / "restored")]
    assert runs[0] == runs[1] > 0


def test_the_file_of_accounts_is_its_owners_alone(together: Path) -> None:
    assert (together / "server" / "mlflow-accounts.ini").stat().st_mode & 0o777 == 0o600


@pytest.fixture(scope="module")
def killed(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[TrackingServer, Path]]:
    folder = tmp_path_factory.mktemp("killed")
    with served(server_of(database, "killed", folder)) as server:
        yield server, folder


def test_a_sweep_whose_server_dies_finishes_and_says_so_and_the_next_launch_records_it(
    killed: tuple[TrackingServer, Path], benchmark: Path, database: Postgres
) -> None:
    server, folder = killed
    place = place_of(folder, benchmark, server, None)
    command = sweep_command(place, "frame_count.py")
    log = (folder / "driver.log").open("ab")
    with log, ended(subprocess.Popen(command, cwd=folder, env=client(), stdout=log, stderr=log)) as (driver,):
        wait_until(lambda: recorded(database, "killed")["training"] >= 2, driver, folder / "driver.log")
        server.kill()
        assert driver.wait(timeout=LIMIT_S) == 1
    said = (folder / "driver.log").read_text()
    assert "tracking stopped, training goes on: the MLflow store" in said
    assert "not recorded in MLflow: the MLflow store" in said
    assert len(list(place.storage.glob("runs/*/run.json"))) == FRAME_COUNT["training"]
    assert recorded(database, "killed")["table"] == 0
    server.start()
    again = subprocess.run(
        command, cwd=folder, env=client(), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert again.returncode == 0, again.stdout
    assert recorded(database, "killed") == {**FRAME_COUNT, "table": 1}
    assert_once(database, "killed")


def test_drivers_whose_server_or_database_is_killed_complete_the_record_when_launched_again(
    killed: tuple[TrackingServer, Path], database: Postgres
) -> None:
    server, folder = killed
    before, seeds = recorded(database, "killed"), 7
    moments = {5: lambda: server.kill(), 12: lambda: database.kill()}
    for count, kill in moments.items():
        (driver,) = recording(server, folder / "made", 1, seeds)
        wanted = before["training"] + count
        with ended(driver):
            wait_until(lambda wanted=wanted: recorded(database, "killed")["training"] >= wanted, driver, server.log)
            kill()
            said, _ = driver.communicate(timeout=LIMIT_S)
        assert driver.returncode == 1
        assert "not recorded: the MLflow store" in said.decode()
        server.start() if count == 5 else database.start()
    (driver,) = recording(server, folder / "made", 1, seeds)
    with ended(driver):
        said, _ = driver.communicate(timeout=LIMIT_S)
    assert driver.returncode == 0, said.decode()
    added = recorded(database, "killed") - before
    assert added == {"training": ROWS * seeds, "table": 1, "cell": ROWS}
    assert_once(database, "killed")


def trials(database: Postgres) -> int:
    (count,) = database.sql("studies", "SELECT COUNT(*) FROM trials")
    return int(count)


def client(user: str = "admin", password: str = ADMIN) -> dict[str, str]:
    return environment() | account(user, password)


def recording(server: TrackingServer, storage: Path, count: int, seeds: int = SEEDS) -> "list[subprocess.Popen[bytes]]":
    """Drivers that all begin at once; every second one has an account of its own."""
    fill(Store(storage), small_table(), tuple(range(seeds)))
    (storage / "go").unlink(missing_ok=True)
    drivers = [
        started([sys.executable, _RECORDING, server.url, str(storage), f"made/table{number}", str(seeds)], own)
        for number, own in zip(range(count), [client(), client("student", STUDENT)] * count, strict=False)
    ]
    for number, driver in enumerate(drivers):
        wait_until((storage / f"ready-made-table{number}").exists, driver, server.log)
    (storage / "go").touch()
    return drivers


def place_of(folder: Path, benchmark: Path, server: TrackingServer, studies: Postgres | None) -> Place:
    place = Place(folder / "place", benchmark)
    place.folder.mkdir(exist_ok=True)
    uris = f'tracking_uri = "{server.url}"\n'
    if studies is not None:
        uris += f'study_uri = "{studies.uri("studies").replace("://", "+psycopg://")}"\n'
    site = folder / "place" / "site.toml"
    if not site.exists():
        site.write_text(uris + place.site.read_text())
    return place


def sweep_command(place: Place, script: str, *flags: str) -> list[str]:
    command = place.command(*flags)
    return [command[0], str(REPOSITORY / "sweeps" / script), *command[2:]]


@contextmanager
def ended(*processes: "subprocess.Popen[bytes]") -> "Generator[tuple[subprocess.Popen[bytes], ...]]":
    """None outlives the test."""
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def started(command: list[str], own: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def add_account(server: TrackingServer, user: str, password: str) -> None:
    """As the documentation says."""
    text = "import os, mlflow.server; c = mlflow.server.get_app_client('basic-auth', os.environ['URI']); "
    text += "c.create_user(os.environ['NEW_USER'], os.environ['NEW_PASSWORD'])"
    own = client() | {"URI": server.url, "NEW_USER": user, "NEW_PASSWORD": password}
    subprocess.run([sys.executable, "-W", "ignore", "-c", text], env=os.environ | own, check=True)
