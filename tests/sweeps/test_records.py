"""Files that are whole or absent, and come back as they went."""

from pathlib import Path

import numpy as np
import pytest

from fsar_core import aside
from sweeps.engine.failures import Failure
from sweeps.engine.records import Environment, RunFolder, Store, bytes_free, write_aside
from tests.sweeps.made_records import TRAIN, run_config, small_table, train_record, write_outcomes


def break_renaming(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(aside.os, "fsync", broken)


def test_a_write_that_is_interrupted_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    write_aside(path, b"old")
    break_renaming(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        write_aside(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_write_that_is_interrupted_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_renaming(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        write_aside(tmp_path / "folder" / "record.json", b"new")
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_write_makes_the_folder_and_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "table.md"
    write_aside(path, b"a longer text")
    write_aside(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_aside(path, b"old")
    with path.open("rb") as file:
        write_aside(path, b"new")
        assert file.read() == b"old"


def test_a_training_record_comes_back_as_it_was(store: Store) -> None:
    folder = store.folder(run_config(), TRAIN)
    assert folder.record() is None
    record = train_record(run_config())
    folder.write_record(record)
    assert folder.record() == record


def test_an_environment_whose_threads_were_not_noted_is_read_and_written_as_before() -> None:
    text = '{"host":"node-1","device":"cpu","precision":"fp32","versions":{"torch":"2.15.0"}}'
    old = Environment.model_validate_json(text)
    assert old.threads is None
    assert old.model_dump_json() == text
    assert "threads" not in old.canonical_json()
    new = old.model_copy(update={"threads": 4})
    assert Environment.model_validate_json(new.model_dump_json()) == new != old


def test_the_head_of_a_training_record_is_the_record_without_settings_and_history(store: Store) -> None:
    folder = store.folder(run_config(), TRAIN)
    assert folder.head() is None
    record = train_record(run_config())
    folder.write_record(record)
    head = folder.head()
    assert head is not None
    assert head.model_dump() == record.model_dump(exclude={"run", "history"})


def test_a_cut_record_has_no_head(store: Store) -> None:
    folder = store.folder(run_config(), TRAIN)
    folder.write_record(train_record(run_config()))
    path = folder.path / "run.json"
    for length in (0, 100, path.stat().st_size // 2, path.stat().st_size - 2):
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(ValueError, match="JSON"):
            folder.head()
        folder.write_record(train_record(run_config()))


def test_an_evaluation_comes_back_with_every_outcome(store: Store) -> None:
    cell = small_table().cells[0]
    correct = np.arange(cell.evaluation.episodes) % 11
    record = write_outcomes(store, cell.run, cell.evaluation, correct)
    folder, name = store.folder(cell.run, TRAIN), cell.evaluation.eval_id(cell.run)
    assert folder.evaluation(name, TRAIN) == record
    assert folder.outcomes(name, TRAIN).tolist() == correct.tolist()
    assert folder.outcomes(name, TRAIN).dtype == np.uint16
    assert folder.evaluation(name, "0000000000000000") is None


def test_a_record_without_outcomes_cannot_exist(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = small_table().cells[0]
    break_renaming(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        write_outcomes(store, cell.run, cell.evaluation, np.zeros(cell.evaluation.episodes, dtype=int))
    assert list((store.folder(cell.run, TRAIN).path / "evaluations").iterdir()) == []


def test_a_failure_is_kept_until_it_is_cleared(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert folder.failure() is None
    folder.write_failure(Failure(traceback='Traceback: "loss" is not finite\n'))
    folder.write_failure(Failure(traceback="Traceback: again\n"))
    assert folder.failure() == Failure(traceback="Traceback: again\n", attempts=2)
    folder.clear_failure()
    folder.clear_failure()
    assert folder.failure() is None


def test_room_is_known_for_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    assert bytes_free(tmp_path / "not" / "yet" / "there") == pytest.approx(bytes_free(tmp_path), rel=0.1)
