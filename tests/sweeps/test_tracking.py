"""Logging to a real SQLite store of MLflow: what is there, and that doing it again changes nothing."""

import os
import socket
import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fsar_core.config import Need, RunConfig
from fsar_core.optimizer import Steps
from sweeps.engine.failures import Failure
from sweeps.engine.records import Point, RunFolder, Store
from sweeps.engine.tracking import Tracking, TrackingError, prepare
from sweeps.engine.tracking_fields import measurements, params
from tests.sweeps.made_records import (
    START_MS,
    TRAIN,
    run_config,
    small_table,
    train_record,
    write_evaluation,
    write_run,
)
from tests.sweeps.mlflow_rows import everything, runs


def folder_of(store: Store, run: RunConfig) -> tuple[str, RunFolder]:
    return store.key(run, TRAIN), store.folder(run, TRAIN)


def finished(store: Store, run: RunConfig) -> tuple[str, RunFolder]:
    write_run(store, run)
    write_evaluation(store, run, small_table().cells[0].evaluation, 0.45)
    return folder_of(store, run)


class TestRuns:
    def test_a_run_has_its_settings_curves_tests_and_origin(self, uri: str, store: Store, tmp_path: Path) -> None:
        run = run_config(shot=5)
        run_id = Tracking(uri).record_run(*finished(store, run))
        (logged,) = runs(uri)
        assert logged.info.run_id == run_id
        assert (logged.info.status, logged.info.start_time, logged.info.end_time) == (
            "FINISHED",
            START_MS,
            START_MS + 6000,
        )
        assert logged.data.params["batches.shot"] == "5"
        assert logged.data.params["method.heads.0.matcher.kind"] == "otam"
        assert logged.data.params["data.normalisation.mean"] == "[0.45, 0.45, 0.45]"
        assert logged.data.metrics["test/5way1shot/accuracy"] == pytest.approx(0.45, abs=0.05)
        assert logged.data.metrics["test/5way1shot/ci95"] > 0
        tags = logged.data.tags
        assert (tags["run_id"], tags["fingerprint"], tags["host"], tags["version.torch"]) == (
            run.run_id(),
            TRAIN,
            "node-1",
            "2.15.0",
        )
        assert Path(tags["fsar.checkpoint"]).name == "checkpoints"
        history = MlflowClient(uri).get_metric_history(logged.info.run_id, "train/loss")
        assert [(m.step, m.timestamp) for m in history] == [(100 * (i + 1), START_MS + 1000 * i) for i in range(6)]
        artifacts = {path.name for path in (tmp_path / "artifacts" / "runs").rglob("*") if path.is_file()}
        assert "run.json" in artifacts
        assert any(name.endswith(".parquet") for name in artifacts)

    def test_recording_again_changes_nothing(self, uri: str, store: Store) -> None:
        found = finished(store, run_config())
        first = Tracking(uri)
        run_id, before = first.record_run(*found), everything(uri)
        assert first.record_run(*found) == run_id
        assert Tracking(uri).record_run(*found) == run_id
        for path in found[1].path.rglob("*.json"):
            os.utime(path)  # as after copying the store: the files are read again
        assert Tracking(uri).record_run(*found) == run_id
        assert everything(uri) == before

    def test_a_new_evaluation_is_added_to_the_run(self, uri: str, store: Store) -> None:
        run = run_config()
        found, tracking = finished(store, run), Tracking(uri)
        tracking.record_run(*found)
        other = small_table().cells[0].evaluation.model_copy(update={"way": 3, "shot": 2})
        write_evaluation(store, run, other, 0.6)
        tracking.record_run(*found)
        (logged,) = runs(uri)
        assert {"test/5way1shot/accuracy", "test/3way2shot/accuracy"} <= logged.data.metrics.keys()
        assert "3way2shot" in logged.data.tags["mlflow.note.content"]

    def test_nothing_is_made_of_an_unfinished_run(self, uri: str, store: Store) -> None:
        assert Tracking(uri).record_run(*folder_of(store, run_config())) is None
        assert runs(uri) == []

    def test_two_drivers_make_one_run_of_a_shared_training(self, uri: str, store: Store) -> None:
        found, first, second = finished(store, run_config()), Tracking(uri), Tracking(uri)
        for tracking in (first, second):
            assert tracking.record_run(*folder_of(store, run_config(seed=9))) is None  # both have looked
        assert first.record_run(*found) == second.record_run(*found)
        assert len(runs(uri)) == 1

    def test_a_driver_killed_in_the_middle_is_completed_by_the_next(
        self, uri: str, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found, tracking = finished(store, run_config()), Tracking(uri)

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(tracking.client, "log_artifact", killed)
            with pytest.raises(KeyboardInterrupt):
                tracking.record_run(*found)
        Tracking(uri).record_run(*found)
        (logged,) = runs(uri)
        assert logged.info.status == "FINISHED"
        assert len(MlflowClient(uri).get_metric_history(logged.info.run_id, "train/loss")) == 6
        assert "test/5way1shot/accuracy" in logged.data.metrics

    def test_begun_runs_are_all_found_across_pages(
        self, uri: str, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tracking = Tracking(uri)
        keys = [store.key(run_config(seed=seed), TRAIN) for seed in range(5)]
        for seed, key in enumerate(keys):
            tracking.progress(key, run_config(seed=seed), train_record(run_config()).history[:1])
        monkeypatch.setattr("sweeps.engine.tracking._PAGE", 2)
        later = Tracking(uri)
        found = [later.record_run(*folder_of(store, run_config(seed=seed))) for seed in range(5)]
        assert dict(zip(found, keys, strict=True)) == {r.info.run_id: r.data.tags["fsar.key"] for r in runs(uri)}


class TestProgress:
    def test_live_points_are_shown_once_and_the_run_ends_when_recorded(self, uri: str, store: Store) -> None:
        run, tracking = run_config(), Tracking(uri)
        key, folder = finished(store, run)
        history = train_record(run).history
        tracking.progress(key, run, history[:2])
        tracking.progress(key, run, history[:3])
        assert [r.info.status for r in runs(uri)] == ["RUNNING"]
        tracking.record_run(key, folder)
        (logged,) = runs(uri)
        assert logged.info.status == "FINISHED"
        assert [m.step for m in MlflowClient(uri).get_metric_history(logged.info.run_id, "train/loss")] == [
            point.step for point in history
        ]

    def test_points_measured_again_after_a_restart_are_not_doubled(self, uri: str, store: Store) -> None:
        run = run_config()
        key, folder = finished(store, run)
        history = train_record(run).history
        Tracking(uri).progress(key, run, history[:3])
        again = [Point(step=p.step, time_ms=p.time_ms + 500, metrics=p.metrics) for p in history]
        Tracking(uri).progress(key, run, again[1:4])
        Tracking(uri).record_run(key, folder)
        (logged,) = runs(uri)
        steps = [m.step for m in MlflowClient(uri).get_metric_history(logged.info.run_id, "val/accuracy")]
        assert steps == [point.step for point in history]

    def test_a_failed_training_is_marked_and_a_second_try_runs_again(
        self, uri: str, store: Store, tmp_path: Path
    ) -> None:
        run, tracking = run_config(), Tracking(uri)
        key, folder = folder_of(store, run)
        history = train_record(run).history
        tracking.progress(key, run, history[:1])
        folder.write_failure(Failure(traceback="Traceback: out of memory"))
        tracking.record_run(key, folder)
        assert [r.info.status for r in runs(uri)] == ["FAILED"]
        assert "out of memory" in next((tmp_path / "artifacts").rglob("failure.txt")).read_text()
        tracking.progress(key, run, history[1:2])
        assert [r.info.status for r in runs(uri)] == ["RUNNING"]


class TestFields:
    def test_what_a_run_needs_is_named_by_its_id(self) -> None:
        first = run_config(seed=3)
        needs = (Need(run=first, source="steps.pool", target="losses.0.guide"),)
        found = params(run_config().model_copy(update={"needs": needs}))
        assert found["needs.0.run_id"] == first.run_id()
        assert found["needs.0.target"] == "losses.0.guide"
        assert not [key for key in found if key.startswith("needs.0.run.")]

    def test_long_values_become_a_hash_that_differs_with_the_value(self) -> None:
        schedules = [Steps(drops=tuple((step, 0.5) for step in range(first, 200))) for first in (1, 2)]
        texts = [params(run_config().model_copy(update={"schedule": s}))["schedule.drops"] for s in schedules]
        assert all(len(text) <= 500 and "run.json" in text for text in texts)
        assert texts[0] != texts[1]

    def test_evaluations_of_one_shape_keep_apart(self, store: Store) -> None:
        run, plain = run_config(), small_table().cells[0].evaluation
        others = ({}, {"seed": 5}, {"dataset": "hmdb51"}, {"frame_sampling": "linspace"})
        evaluations = [plain.model_copy(update=update) for update in others]
        records = {e.eval_id(run): write_evaluation(store, run, e, 0.5) for e in evaluations}
        names = [value.name for value in measurements(run, records) if value.name.endswith("accuracy")]
        assert len(set(names)) == 4
        assert {
            "test/5way1shot/accuracy",
            "test/5way1shot-on-hmdb51/accuracy",
            "test/5way1shot-linspace/accuracy",
        } <= set(names)


class TestReaching:
    def test_a_server_that_is_down_is_named_without_its_password(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        uri = f"http://me:secret@127.0.0.1:{port}"
        folders = dict([folder_of(store, run_config())])
        for call in (partial(prepare, uri), partial(Tracking(uri).record_runs, folders)):
            with pytest.raises(TrackingError, match="launch again") as caught:
                call()
            assert f"127.0.0.1:{port}" in str(caught.value)
            assert "secret" not in str(caught.value)
            assert caught.value.__suppress_context__

    def test_waiting_is_short_unless_the_user_says_otherwise(self, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
        Tracking(uri)
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"

    def test_a_file_that_is_no_database_is_refused_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_text("these are my notes, not a database")
        start = time.monotonic()
        with pytest.raises(TrackingError, match="not a SQLite database"):
            prepare(f"sqlite:///{tmp_path / 'mlflow.db'}")
        assert time.monotonic() - start < 5
        assert (tmp_path / "mlflow.db").read_text() == "these are my notes, not a database"

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(TrackingError, match="file"):
            prepare(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")

    def test_preparing_again_keeps_what_is_there(self, uri: str, store: Store) -> None:
        Tracking(uri).record_run(*finished(store, run_config()))
        before = everything(uri)
        prepare(uri)
        assert everything(uri) == before

    def test_an_older_database_is_upgraded_after_a_copy(self, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
        path = Path(uri.removeprefix("sqlite:///"))
        with sqlite3.connect(path) as database:
            (now,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
            database.execute("UPDATE alembic_version SET version_num = 'older'")
        database.close()
        asked: list[str] = []

        def upgraded(arguments: list[str], **_: object) -> None:
            asked.extend(arguments)
            with sqlite3.connect(path) as database:
                database.execute("UPDATE alembic_version SET version_num = ?", (now,))
            database.close()

        monkeypatch.setattr("mlflow.db.upgrade.main", upgraded)
        prepare(uri)
        assert asked == [uri]
        assert path.with_name("mlflow.db.before-upgrade").exists()


def test_a_training_that_was_stopped_is_ended_and_opened_again_when_it_goes_on(uri: str, store: Store) -> None:
    run = run_config()
    key, folder = folder_of(store, run)
    history = train_record(run).history
    Tracking(uri).progress(key, run, history[:1])
    done, _ = finished(store, run_config(seed=1))
    later = Tracking(uri)
    later.record_run(done, store.folder(run_config(seed=1), TRAIN))
    later.record_stopped([key, done, "never seen"])
    assert sorted(own.info.status for own in runs(uri, "runs")) == ["FINISHED", "KILLED"]
    Tracking(uri).progress(key, run, history[:2])
    assert sorted(own.info.status for own in runs(uri, "runs")) == ["FINISHED", "RUNNING"]
    write_run(store, run)
    Tracking(uri).record_run(key, folder)
    assert [own.info.status for own in runs(uri, "runs")] == ["FINISHED"] * 2
