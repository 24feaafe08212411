"""A checkpoint may be replaced between being named and being read."""

import shutil
from pathlib import Path

import pytest

from fsar_core.checkpoint import latest_checkpoint
from search_spaces.table import Table
from sweeps.engine.newest_checkpoint import of_newest
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.run_masks import recorded_masks
from tests.sweeps.made_plans import write_checkpoint
from tests.sweeps.made_records import TRAIN, small_table
from tests.sweeps.test_why import fact, of, said

TABLE: Table = small_table()


@pytest.fixture
def training(store: Store, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Has reached step 200 when it is looked at, and replaces its checkpoint by one of step 300 right then."""
    folder = store.folder(TABLE.cells[0].run, TRAIN)
    write_checkpoint(folder, 200)

    def named(root: Path) -> Path | None:
        found = latest_checkpoint(root)
        if found is not None and found.name.endswith("200"):
            write_checkpoint(folder, 300)
            (root / "step-00000300" / "state.json").write_text('{"caller": {"masks": "abcd"}}')
            shutil.rmtree(found)
        return found

    for module in ("newest_checkpoint", "run_masks", "why"):
        monkeypatch.setattr(f"sweeps.engine.{module}.latest_checkpoint", named, raising=False)
    return folder


def test_the_masks_of_a_run_that_is_being_trained_are_read_from_the_newer_one(training: RunFolder) -> None:
    assert recorded_masks(training) == "abcd"


def test_the_progress_of_a_run_that_is_being_trained_is_that_of_the_newer_one(
    training: RunFolder, store: Store
) -> None:
    text = said(of(store, TABLE), "otam")
    assert fact(text, "step").startswith("300 of 600; the newest checkpoint is of step 300, ")


def test_one_that_stays_without_its_file_is_an_error_and_not_asked_for_ever(tmp_path: Path) -> None:
    (tmp_path / "step-00000001").mkdir()
    with pytest.raises(FileNotFoundError):
        of_newest(tmp_path, lambda checkpoint: (checkpoint / "state.json").read_text())


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert of_newest(tmp_path, lambda checkpoint: checkpoint) is None
