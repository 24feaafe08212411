"""Many runs in MLflow: a relaunch asks for nothing that the folders remember, and logs nothing."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from search_spaces.table import Table
from sweeps.engine.records import Store
from sweeps.engine.results import collect
from sweeps.engine.tracking import Tracking, prepare
from sweeps.engine.tracking_rows import remembered_at
from tests.sweeps.made_records import PRINTS, TRAIN, fill, ratio_table, small_table
from tests.sweeps.mlflow_rows import everything, runs

WRITES = ("create_run", "log_batch", "set_tag", "set_terminated", "update_run", "log_artifact", "log_artifacts")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the client was asked for what."""
    seen: Counter[str] = Counter()

    def counting(name: str) -> Any:
        real = getattr(MlflowClient, name)

        def called(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
            seen[name] += 1
            return real(self, *args, **kwargs)

        return called

    for name in (*WRITES, "search_runs", "get_run", "get_metric_history", "get_experiment_by_name", "get_experiment"):
        monkeypatch.setattr(MlflowClient, name, counting(name))
    return seen


def launched(uri: str, store: Store, table: Table) -> None:
    tracking = Tracking(uri)
    trained = [cell.run.with_seed(seed) for cell in table.cells for seed in (0, 1)]
    tracking.record_runs({store.key(run, TRAIN): store.folder(run, TRAIN) for run in trained})
    tracking.record_table(collect(table, (0, 1), store, PRINTS), "launch", "motionshapes", "smoke")


def test_a_relaunch_of_a_finished_table_logs_nothing_and_asks_as_much_for_six_runs_as_for_44(
    uri: str, store: Store, calls: Counter[str]
) -> None:
    asked: list[Counter[str]] = []
    for table in (small_table(), ratio_table()):
        fill(store, table)
        launched(uri, store, table)
        before = everything(uri)
        calls.clear()
        launched(uri, store, table)
        assert everything(uri) == before
        assert not any(calls[name] for name in WRITES)
        asked.append(Counter(calls))
    assert asked[0] == asked[1]
    assert asked[0]["search_runs"] == 2  # for the rows that the folders remember, and for the table's own cells


def test_of_many_remembered_rows_the_newest_are_looked_up(
    uri: str, store: Store, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = small_table()
    fill(store, table)
    launched(uri, store, table)
    monkeypatch.setattr("sweeps.engine.tracking._LOOKED_UP", 2)
    calls.clear()
    launched(uri, store, table)
    assert calls["search_runs"] == 1 + 1  # the newest rows, then the table's own cells
    assert not any(calls[name] for name in WRITES)
    newest = max(runs(uri), key=lambda run: remembered_at(store.folder_of(run.data.tags["fsar.key"])))
    MlflowClient(uri).delete_run(newest.info.run_id)
    launched(uri, store, table)
    assert {run.data.tags["fsar.key"] for run in runs(uri)} >= {newest.data.tags["fsar.key"]}


def restored_from_before(uri: str, client: MlflowClient, lost: Run) -> None:
    """A backup that is older than the row."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        for table in ("params", "tags", "metrics", "latest_metrics", "runs"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (lost.info.run_id,))
    database.close()


def deleted_by_hand(uri: str, client: MlflowClient, lost: Run) -> None:
    """In MLflow's pages."""
    client.delete_run(lost.info.run_id)


@pytest.mark.parametrize("lose", [deleted_by_hand, restored_from_before])
def test_a_row_that_is_gone_is_made_again_and_its_cell_links_to_it(
    uri: str, store: Store, lose: Callable[[str, MlflowClient, Run], None]
) -> None:
    table = small_table()
    fill(store, table)
    launched(uri, store, table)
    key = store.key(table.cells[0].run, TRAIN)
    before = {run.data.tags["fsar.key"]: run for run in runs(uri)}
    lose(uri, MlflowClient(uri), before[key])
    launched(uri, store, table)
    after = {run.data.tags["fsar.key"]: run for run in runs(uri)}
    assert after.keys() == before.keys()
    assert after[key].info.run_id != before[key].info.run_id
    assert after[key].data.metrics == before[key].data.metrics
    (cell,) = (run for run in runs(uri, table.name) if run.data.tags.get("row") == "otam")
    assert cell.data.tags["training.seed0"] == after[key].info.run_id
    assert after[key].info.run_id in cell.data.tags["training.seed0.link"]
    whole = everything(uri)
    launched(uri, store, table)
    assert everything(uri) == whole


def test_a_row_that_a_backup_knows_in_an_older_state_is_completed(uri: str, store: Store) -> None:
    table = small_table()
    fill(store, table)
    launched(uri, store, table)
    key = store.key(table.cells[0].run, TRAIN)
    (row,) = (run for run in runs(uri) if run.data.tags["fsar.key"] == key)
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        for where in ("latest_metrics WHERE key LIKE 'test/%'", "metrics WHERE key LIKE 'test/%'"):
            database.execute(f"DELETE FROM {where} AND run_uuid = ?", (row.info.run_id,))
        older = "UPDATE tags SET value = 'older' WHERE key = 'fsar.files' AND run_uuid = ?"
        database.execute(older, (row.info.run_id,))
    database.close()
    launched(uri, store, table)
    assert MlflowClient(uri).get_run(row.info.run_id).data.metrics == row.data.metrics


def test_a_folder_that_remembers_nothing_is_found_by_one_search_in_pages(
    uri: str, store: Store, calls: Counter[str]
) -> None:
    table = small_table()
    fill(store, table)
    launched(uri, store, table)
    before = everything(uri)
    for path in store.root.glob("runs/*/mlflow.json"):
        path.unlink() if "5" in path.parent.name[:8] else path.write_text("{")
    calls.clear()
    launched(uri, store, table)
    assert everything(uri) == before
    assert calls["search_runs"] == 2
    assert not any(calls[name] for name in WRITES)


def test_a_store_that_was_made_anew_is_filled_again(uri: str, store: Store, tmp_path_factory: Any) -> None:
    table = small_table()
    fill(store, table)
    launched(uri, store, table)
    other = f"sqlite:///{tmp_path_factory.mktemp('other') / 'mlflow.db'}"
    prepare(other)
    launched(other, store, table)
    assert everything(other)["runs"] == everything(uri)["runs"] == 6 + 4
    launched(uri, store, table)
    assert everything(uri)["runs"] == 10
