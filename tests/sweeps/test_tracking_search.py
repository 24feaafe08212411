"""A search in MLflow: every point once, links, files, and little work where nothing is new."""

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import TrialState, create_trial
from sqlalchemy import event
from sqlalchemy.engine import Engine

from sweeps.engine.search_study import KEY
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_numbers import in_ranges, ranges
from sweeps.engine.tracking_search import record_search
from tests.sweeps.made_studies import add_twin, finish, make_study, plain
from tests.sweeps.mlflow_rows import everything, runs

FILES = {"page.md": b"# page", "slice.png": b"png", "trials.csv": b"trial\n"}


def record(uri: str, study: optuna.Study, files: dict[str, bytes] = FILES, text: str = "the page") -> str:
    return record_search(Tracking(uri), study, "hmdb51", text, files)


def children(uri: str, parent: str) -> dict[str, Run]:
    return {run.info.run_name or "": run for run in runs(uri, "search/made") if run.info.run_id != parent}


def one_more(study: optuna.Study) -> None:
    trial = study.ask()
    value = plain(trial)
    trial.set_user_attr(KEY, f"{trial.number:032x}")
    finish(study, trial, value)


def test_logging_a_study_twice_is_logging_it_once(uri: str) -> None:
    study = make_study(5)
    add_twin(study, study.trials[1])
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.ask().set_user_attr(KEY, "still at work")
    parent = record(uri, study)
    rows = everything(uri)
    assert record(uri, study) == parent
    assert everything(uri) == rows
    trials = children(uri, parent)
    assert {name: run.info.status for name, run in trials.items()} == {
        **{f"trial {i}": "FINISHED" for i in range(4)}, "trial 4": "KILLED",
    }  # fmt: skip
    assert trials["trial 0"].data.metrics["val/best"] == study.trials[0].value
    assert "val/best" not in trials["trial 4"].data.metrics
    assert trials["trial 4"].data.metrics["val/accuracy"] == study.trials[4].intermediate_values[100]
    own = MlflowClient(uri).get_run(parent)
    assert own.info.status == "FINISHED"
    assert {name: own.data.metrics[f"trials/{name}"] for name in ("finished", "stopped", "failed")} == {
        "finished": 4.0, "stopped": 1.0, "failed": 1.0,
    }  # fmt: skip


def test_a_point_links_its_training_and_its_search(uri: str) -> None:
    study = make_study(2, cost=True)
    parent = record(uri, study)
    first = children(uri, parent)["trial 0"]
    assert first.data.tags["fsar.run"] == f"{0:032x}"
    assert f"tags.%60fsar.key%60%20%3D%20%27{0:032x}%27" in first.data.tags["mlflow.note.content"]
    assert f"runs/{parent}?" in first.data.tags["mlflow.note.content"]
    assert first.data.params == {"region": "saliency", "masked": "4", "lambda": "0.5"}
    assert first.data.metrics["cost/gflops"] == study.trials[0].values[1]
    looks = MlflowClient(uri).get_metric_history(first.info.run_id, "val/accuracy")
    assert [look.step for look in looks] == [100, 200]


def test_the_description_links_the_pictures_and_the_points(uri: str) -> None:
    parent = record(uri, make_study(2), text="**the page**")
    note = MlflowClient(uri).get_run(parent).data.tags["mlflow.note.content"]
    assert note.endswith("\n\n**the page**")
    assert note.startswith("[points, best first](#/experiments/")
    assert f"/runs/{parent}/artifacts/slice.png?" in note
    assert "trials.csv" not in note


def test_a_point_that_ends_later_is_added(uri: str) -> None:
    study = make_study(3)
    parent = record(uri, study)
    one_more(study)
    assert record(uri, study) == parent
    assert sorted(children(uri, parent)) == ["trial 0", "trial 1", "trial 2", "trial 3"]


def test_what_a_killed_driver_left_is_completed(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(4)
    whole, done = MlflowClient.set_terminated, list[str]()

    def killed(client: MlflowClient, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(run_id)
        whole(client, run_id, status, end_time)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "set_terminated", killed)
        with pytest.raises(KeyboardInterrupt):
            record(uri, study)
    parent = record(uri, study)
    assert {name: run.info.status for name, run in children(uri, parent).items()} == {
        f"trial {i}": "FINISHED" for i in range(4)
    }
    assert len(runs(uri, "search/made")) == 5


def test_points_of_a_search_whose_run_was_deleted_move_to_the_new_one(uri: str) -> None:
    study = make_study(2)
    old = record(uri, study)
    MlflowClient(uri).delete_run(old)
    new = record(uri, study)
    assert new != old
    assert {run.data.tags["mlflow.parentRunId"] for run in children(uri, new).values()} == {new}
    assert len(children(uri, new)) == 2


def test_only_changed_files_are_uploaded_again(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(2)
    parent = record(uri, study)
    uploads = list[str]()
    whole = MlflowClient.log_artifacts

    def counted(client: MlflowClient, run_id: str, local_dir: str) -> None:
        uploads.append(run_id)
        whole(client, run_id, local_dir)

    monkeypatch.setattr(MlflowClient, "log_artifacts", counted)
    record(uri, study)
    assert uploads == []
    record(uri, study, FILES | {"trials.csv": b"another"})
    assert uploads == [parent]
    assert {file.path for file in MlflowClient(uri).list_artifacts(parent)} == set(FILES)


def test_recording_nothing_new_takes_as_many_queries_for_a_large_study_as_for_a_small_one(uri: str) -> None:
    study, asked = make_study(3), list[str]()
    record(uri, study)

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        record(uri, study)
        few = len(asked)
        for _ in range(12):
            one_more(study)
        record(uri, study)
        asked.clear()
        record(uri, study)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert 0 < len(asked) == few


def test_numbers_become_ranges_and_back() -> None:
    numbers = {0, 1, 2, 5, 7, 8}
    assert ranges(numbers) == "0-2 5 7-8"
    assert in_ranges(ranges(numbers)) == numbers
    assert in_ranges(ranges(())) == set()
