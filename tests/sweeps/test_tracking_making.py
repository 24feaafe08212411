"""A run is made once, also where the answer to the request is lost, or two drivers ask for it at the same time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from sweeps.engine import tracking as engine
from sweeps.engine.records import Store
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_connection import TrackingError, locked, prepare
from sweeps.engine.tracking_making import create_run
from tests.sweeps.made_records import TRAIN, run_config, write_run
from tests.sweeps.mlflow_rows import runs

TAGS = {"fsar.key": "the key"}


def losing(client: MlflowClient, monkeypatch: pytest.MonkeyPatch, *, carried_out: bool, times: int) -> list[str]:
    """Answers of so many requests get lost; gives what MLflow was told about repeating at each."""
    make, told = client.create_run, list[str]()

    def create(experiment_id: str, **own: object) -> Run:
        told.append(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])
        if len(told) > times:
            return make(experiment_id, **own)  # pyright: ignore[reportArgumentType]
        if carried_out:
            make(experiment_id, **own)  # pyright: ignore[reportArgumentType]
        raise MlflowException("connection reset by peer")

    monkeypatch.setattr(client, "create_run", create)
    return told


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_lost_answer_makes_no_second_run(uri: str, carried_out: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = Tracking(uri)
    experiment = tracking.experiment("runs")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    told = losing(tracking.client, monkeypatch, carried_out=carried_out, times=1)
    made = create_run(tracking.client, experiment, TAGS, "a name")
    assert [run.info.run_id for run in runs(uri)] == [made.info.run_id]
    assert set(told) == {"0"}
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "7"


def test_a_server_that_stays_away_is_an_error(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = Tracking(uri)
    losing(tracking.client, monkeypatch, carried_out=False, times=99)
    with pytest.raises(MlflowException, match="reset"):
        create_run(tracking.client, tracking.experiment("runs"), TAGS, "a name")
    assert runs(uri) == []


def test_of_runs_that_were_made_twice_the_next_driver_keeps_the_oldest(uri: str, store: Store) -> None:
    run = run_config()
    write_run(store, run)
    key, folder = store.key(run, TRAIN), store.folder(run, TRAIN)
    client, experiment = MlflowClient(uri), Tracking(uri).experiment("runs")
    ids = [client.create_run(experiment, start_time=at, tags={"fsar.key": key}).info.run_id for at in (20, 10, 30)]
    assert Tracking(uri).record_run(key, folder) == ids[1]
    assert [own.info.run_id for own in runs(uri)] == [ids[1]]


def test_drivers_of_one_storage_take_turns_where_the_store_has_no_lock(tmp_path: Path) -> None:
    beside, inside, most = tmp_path / "locks" / "mlflow.lock", 0, 0

    def enter(_: int) -> None:
        nonlocal inside, most
        with locked("http://127.0.0.1:1", beside):
            inside += 1
            most = max(most, inside)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(64)))
    assert (most, inside) == (1, 0)


def test_a_server_that_was_there_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Client:
        def search_experiments(self, **_: object) -> list[object]:
            if asked:
                raise MlflowException("gone")
            asked.append("once")
            return []

    monkeypatch.setattr("sweeps.engine.tracking_connection._ANSWERED", set[str]())
    monkeypatch.setattr("sweeps.engine.tracking_connection.connect", lambda *_: Client())  # pyright: ignore[reportUnknownLambdaType]
    engine.prepare("http://127.0.0.1:1")
    prepare("http://127.0.0.1:1")  # a step of a search, after the server has died: it trains on
    with pytest.raises(TrackingError):
        prepare("http://127.0.0.1:2")
