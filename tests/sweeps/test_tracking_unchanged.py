"""A table that stands in MLflow as it would be written is known by its parent alone; one that differs is written."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from search_spaces.table import Table
from sweeps.engine.records import Store
from sweeps.engine.results import CellResult, TableResult, collect
from sweeps.engine.tracking import Tracking, TrackingError
from sweeps.engine.tracking_told import Launch, table_told
from tests.sweeps.made_records import PRINTS, TRAIN, fill, ratio_table, small_table, write_outcomes
from tests.sweeps.mlflow_rows import everything, runs

LAUNCH = Launch("launch", "motionshapes", "smoke", 0, "1", {})


def result_of(store: Store, table: Table) -> TableResult:
    return collect(table, (0, 1), store, PRINTS)


def recorded(uri: str, store: Store, table: Table) -> str:
    return Tracking(uri).record_table(result_of(store, table), "launch", "motionshapes", "smoke")


def other_outcomes(store: Store, table: Table) -> None:
    """Of the second cell, first seed, measured a moment later."""
    own = table.cells[1]
    correct = np.arange(own.evaluation.episodes) % 11
    record = write_outcomes(store, own.run, own.evaluation, correct)
    later = record.model_copy(update={"ended_ms": record.ended_ms + 1})
    store.folder(own.run, TRAIN).write_evaluation(own.evaluation.eval_id(own.run), later, correct)


def by_row(uri: str, table: Table) -> dict[str, Run]:
    return {run.data.tags.get("row", "parent"): run for run in runs(uri, table.name)}


def with_cell(result: TableResult, change: Callable[[CellResult], CellResult]) -> TableResult:
    first, *others = result.cells
    return replace(result, cells=(change(first), *others))


def slightly_better(cell: CellResult) -> CellResult:
    first, *others = cell.seeds
    assert first.record is not None
    record = first.record.model_copy(update={"accuracy": first.record.accuracy + 1e-12})
    return replace(cell, seeds=(replace(first, record=record), *others))


def other_setting(cell: CellResult) -> CellResult:
    return replace(cell, cell=cell.cell.model_copy(update={"settings": {"matcher": "new"}}))


def other_published(cell: CellResult) -> CellResult:
    (printed,) = ratio_table().cells[1].published
    return replace(cell, cell=cell.cell.model_copy(update={"published": (printed,)}))


def not_done(cell: CellResult) -> CellResult:
    return replace(cell, seeds=tuple(replace(seed, state="pending") for seed in cell.seeds))


@pytest.mark.parametrize("change", [slightly_better, other_setting, other_published, not_done])
def test_the_digest_differs_where_one_cell_does(store: Store, change: Callable[[CellResult], CellResult]) -> None:
    table = small_table()
    fill(store, table)
    one = table_told(result_of(store, table), LAUNCH, "parent").digest()
    assert table_told(result_of(store, table), LAUNCH, "parent").digest() == one
    assert table_told(with_cell(result_of(store, table), change), LAUNCH, "parent").digest() != one


def test_the_digest_covers_links_names_and_files(store: Store) -> None:
    table = small_table()
    fill(store, table)
    result = result_of(store, table)
    linked = replace(LAUNCH, trainings={result.cells[0].seeds[0].key: ("1234", "#/experiments/0/runs/1234")})
    noted = replace(result, table=table.model_copy(update={"notes": ("One doubts it.",)}))
    told = [
        table_told(result, LAUNCH, "parent"),
        table_told(result, linked, "parent"),
        table_told(result, LAUNCH, "another parent"),
        table_told(result, replace(LAUNCH, preset="clean"), "parent"),
        table_told(noted, LAUNCH, "parent"),
    ]
    assert len({one.digest() for one in told}) == len(told)


@pytest.mark.parametrize("table", [small_table(), ratio_table()], ids=lambda table: table.name)
def test_of_an_unchanged_table_mlflow_loads_the_parent_alone(
    uri: str, store: Store, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, table)
    parent = recorded(uri, store, table)
    before, real, loaded = everything(uri), MlflowClient.search_runs, list[Run]()

    def searched(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        page = real(self, *args, **kwargs)
        loaded.extend(page)
        return page

    monkeypatch.setattr(MlflowClient, "search_runs", searched)
    assert recorded(uri, store, table) == parent
    assert [run.info.run_id for run in loaded] == [parent]
    assert everything(uri) == before


def test_a_cell_that_changed_is_written_and_no_other(uri: str, store: Store) -> None:
    table = small_table(reference=None)
    fill(store, table)
    recorded(uri, store, table)
    before = by_row(uri, table)
    other_outcomes(store, table)
    recorded(uri, store, table)
    after = by_row(uri, table)
    assert after["bimhm"].data.metrics["accuracy"] == pytest.approx(result_of(store, table).cells[1].accuracy)
    assert after["bimhm"].data.metrics != before["bimhm"].data.metrics
    for row in ("otam", "protonet"):
        assert after[row].data.metrics == before[row].data.metrics
        assert after[row].info.run_id == before[row].info.run_id


def test_a_driver_that_is_killed_while_writing_leaves_no_digest_behind(
    uri: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = small_table()
    fill(store, table)
    recorded(uri, store, table)
    digest = by_row(uri, table)["parent"].data.tags["fsar.content"]
    other_outcomes(store, table)

    def killed(*_: object) -> None:
        raise OSError(5, "killed")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_artifacts", killed)
        with pytest.raises(TrackingError, match="killed"):
            recorded(uri, store, table)
    assert by_row(uri, table)["parent"].data.tags["fsar.content"] == ""
    recorded(uri, store, table)
    assert by_row(uri, table)["parent"].data.tags["fsar.content"] not in ("", digest)


def test_a_parent_that_was_deleted_is_written_anew_with_all_its_cells(uri: str, store: Store) -> None:
    table = small_table()
    fill(store, table)
    parent = recorded(uri, store, table)
    before = by_row(uri, table)
    for lost in (parent, before["otam"].info.run_id):
        MlflowClient(uri).delete_run(lost)
    anew = recorded(uri, store, table)
    after = by_row(uri, table)
    assert after.keys() == before.keys()
    assert anew == after.pop("parent").info.run_id != parent
    assert {run.data.tags["mlflow.parentRunId"] for run in after.values()} == {anew}
    assert after["bimhm"].info.run_id == before["bimhm"].info.run_id
    assert after["otam"].data.metrics == before["otam"].data.metrics
    assert recorded(uri, store, table) == anew


def test_a_description_or_a_state_that_was_changed_by_hand_is_put_right(uri: str, store: Store) -> None:
    table = small_table()
    fill(store, table)
    parent = recorded(uri, store, table)
    before = by_row(uri, table)["parent"]
    client = MlflowClient(uri)
    client.set_tag(parent, "mlflow.note.content", "mine")
    recorded(uri, store, table)
    client.update_run(parent, status="RUNNING")
    recorded(uri, store, table)
    after = by_row(uri, table)["parent"]
    assert after.data.tags == before.data.tags
    assert after.info.status == "FINISHED"
