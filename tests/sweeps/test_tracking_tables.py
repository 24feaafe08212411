"""Tables in MLflow: a parent with the whole table, a child per cell, brought up to date by every launch."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from search_spaces.table import Published, Table
from sweeps.engine.failures import Failure
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.tracking import Tracking
from tests.sweeps.made_records import PRINTS, TRAIN, fill, ratio_table, small_table
from tests.sweeps.mlflow_rows import everything, runs

LAUNCH = "mask_ratio it's 2026"


def result_of(store: Store, table: Table, seeds: tuple[int, ...] = (0, 1)) -> TableResult:
    return collect(table, seeds, store, PRINTS)


def test_a_table_is_a_parent_run_and_a_child_per_cell(uri: str, store: Store, tmp_path: Path) -> None:
    table = ratio_table(printed_on="motionshapes")
    fill(store, table, (0,))
    tracking = Tracking(uri)
    training = tracking.record_run(store.key(table.cells[1].run, TRAIN), store.folder(table.cells[1].run, TRAIN))
    parent_id = tracking.record_table(result_of(store, table, (0,)), LAUNCH, "motionshapes", "smoke")
    found = {r.info.run_id: r for r in runs(uri, "sgtm/table3")}
    parent = found.pop(parent_id)
    assert parent.info.status == "FINISHED"
    assert "| OTAM, 15% masked |" in parent.data.tags["mlflow.note.content"]
    assert len(found) == 22
    assert {child.data.tags["mlflow.parentRunId"] for child in found.values()} == {parent_id}
    child = next(c for c in found.values() if c.info.run_name == "OTAM, 15% masked, 1-shot")
    assert child.data.params == {
        "matcher": "OTAM",
        "ratio": "0.15",
        "way": "5",
        "shot": "1",
        "dataset": "motionshapes",
    }
    assert child.data.metrics.keys() == {
        "accuracy",
        "ci95",
        "difference",
        "difference_ci95",
        "difference_p_holm",
        "published",
        "delta",
    }
    assert child.data.metrics["delta"] == pytest.approx(0.40 - child.data.metrics["accuracy"])
    assert child.data.tags["training.seed0"] == training
    names = {path.name for path in (tmp_path / "artifacts" / "sgtm-table3").rglob("*") if path.is_file()}
    assert names == {"table.csv", "table.md", "table.tex", "table.html", "plot.png", "plot.pdf"}
    experiment = MlflowClient(uri).get_experiment_by_name("sgtm/table3")
    assert experiment is not None
    assert experiment.tags["mlflow.note.content"] == parent.data.tags["mlflow.note.content"]


def test_values_printed_on_other_data_have_no_delta(uri: str, store: Store) -> None:
    fill(store, small_table())
    Tracking(uri).record_table(result_of(store, small_table()), LAUNCH, "motionshapes", "smoke")
    (bimhm,) = [r for r in runs(uri, "strm/table2") if r.data.tags.get("row") == "bimhm"]
    assert bimhm.data.metrics["published"] == pytest.approx(0.452)
    assert "delta" not in bimhm.data.metrics


def test_of_several_printed_values_the_one_that_delta_is_of_is_shown(uri: str, store: Store) -> None:
    table = small_table(printed_on="motionshapes")
    fill(store, table)
    cells = list(table.cells)
    elsewhere = Published(percent=80.1, dataset="UCF101", source="STRM, table 2")
    cells[1] = cells[1].model_copy(update={"published": (elsewhere, *cells[1].published)})
    table = table.model_copy(update={"cells": tuple(cells)})
    Tracking(uri).record_table(result_of(store, table), LAUNCH, "motionshapes", "smoke")
    (bimhm,) = [r for r in runs(uri, "strm/table2") if r.data.tags.get("row") == "bimhm"]
    metrics = bimhm.data.metrics
    assert metrics["published"] == pytest.approx(0.452)
    assert metrics["delta"] == pytest.approx(metrics["published"] - metrics["accuracy"])


def test_launching_again_changes_nothing(uri: str, store: Store) -> None:
    fill(store, small_table())
    result = result_of(store, small_table())
    parent = Tracking(uri).record_table(result, LAUNCH, "motionshapes", "smoke")
    before = everything(uri)
    assert Tracking(uri).record_table(result_of(store, small_table()), LAUNCH, "motionshapes", "smoke") == parent
    assert everything(uri) == before


def test_a_pending_table_is_completed_in_place(uri: str, store: Store, tmp_path: Path) -> None:
    table = small_table()
    parent = Tracking(uri).record_table(result_of(store, table), LAUNCH, "motionshapes", "smoke")
    assert {r.info.status for r in runs(uri, table.name)} == {"RUNNING"}
    fill(store, table)
    assert Tracking(uri).record_table(result_of(store, table), LAUNCH, "motionshapes", "smoke") == parent
    found = runs(uri, table.name)
    assert len(found) == 4
    assert {r.info.status for r in found} == {"FINISHED"}
    assert "pending" not in next(r for r in found if r.info.run_id == parent).data.tags["mlflow.note.content"]
    (page,) = (tmp_path / "artifacts").rglob("table.html")
    assert "pending" not in page.read_text()


def test_a_failed_cell_fails_its_table_when_nothing_is_pending(uri: str, store: Store) -> None:
    table = small_table()
    fill(store, table.model_copy(update={"cells": table.cells[1:]}))
    for seed in (0, 1):
        store.folder(table.cells[0].run.with_seed(seed), TRAIN).write_failure(Failure(traceback="Traceback"))
    parent = Tracking(uri).record_table(result_of(store, table), LAUNCH, "motionshapes", "smoke")
    status = {r.info.run_id: r.info.status for r in runs(uri, table.name)}
    assert status.pop(parent) == "FAILED"
    assert sorted(status.values()) == ["FAILED", "FINISHED", "FINISHED"]


def test_another_launch_has_its_own_parent(uri: str, store: Store) -> None:
    fill(store, small_table())
    tracking, result = Tracking(uri), result_of(store, small_table())
    one, other = (tracking.record_table(result, key, "motionshapes", "smoke") for key in ("a", "b"))
    assert one != other
    assert len(runs(uri, "strm/table2")) == 8


def test_settings_that_changed_replace_the_cell(uri: str, store: Store) -> None:
    table = small_table()
    tracking = Tracking(uri)
    tracking.record_table(result_of(store, table), LAUNCH, "motionshapes", "smoke")
    first, *others = table.cells
    changed = table.model_copy(update={"cells": (first.model_copy(update={"settings": {"matcher": "new"}}), *others)})
    tracking.record_table(result_of(store, changed), LAUNCH, "motionshapes", "smoke")
    found = [r for r in runs(uri, table.name) if r.data.tags.get("row") == "otam"]
    assert [r.data.params["matcher"] for r in found] == ["new"]


def test_a_long_table_loses_rows_but_says_so(uri: str, store: Store) -> None:
    first = small_table().cells[0]
    rows = tuple(
        first.model_copy(update={"row": f"a row with a rather long name, {'so ' * 30} {i}"}) for i in range(60)
    )
    table = Table(name="long", title="long", cells=rows)
    Tracking(uri).record_table(result_of(store, table, (0,)), LAUNCH, "motionshapes", "smoke")
    (parent,) = [r for r in runs(uri, "long") if r.data.tags["fsar.kind"] == "table"]
    note = parent.data.tags["mlflow.note.content"]
    assert len(note) < 8000
    assert "more rows: see table.html" in note
    assert "fingerprint" in note
