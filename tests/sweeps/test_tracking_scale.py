"""Many runs in MLflow: a relaunch asks for nothing that the folders remember, and logs nothing."""

from collections import Counter
from typing import Any

import pytest
from mlflow import MlflowClient

from search_spaces.table import Table
from sweeps.engine.records import Store
from sweeps.engine.results import collect
from sweeps.engine.tracking import Tracking, prepare
from tests.sweeps.made_records import PRINTS, TRAIN, fill, ratio_table, small_table
from tests.sweeps.mlflow_rows import everything

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
    for cell in table.cells:
        for seed in (0, 1):
            run = cell.run.with_seed(seed)
            tracking.record_run(store.key(run, TRAIN), store.folder(run, TRAIN))
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
    assert asked[0]["search_runs"] == 1  # for the table's own cells


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
