"""The database of studies is made by one driver at a time."""

from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from sweeps.engine import study_storage as storages
from sweeps.engine.study_storage import study_storage
from tests.together import together


def test_drivers_that_come_at_once_find_whole_tables(tmp_path: Path) -> None:
    for storage in together(lambda: study_storage(f"sqlite:///{tmp_path / 'studies.db'}")):
        assert storage.get_all_studies() == []
        storage.engine.dispose()


def test_a_study_that_can_only_be_read_is_read_without_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path / 'studies.db'}"
    study_storage(uri).engine.dispose()

    def closed(_: FileLock) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storages.FileLock, "acquire", closed)
    read = study_storage(uri)
    assert read.get_all_studies() == []
    read.engine.dispose()
    with pytest.raises(PermissionError):
        study_storage(f"sqlite:///{tmp_path / 'new.db'}")


def test_a_lock_that_another_driver_keeps_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "_WAIT_S", 0.1)
    uri = f"sqlite:///{tmp_path / 'studies.db'}"
    study_storage(uri).engine.dispose()
    with FileLock(tmp_path / "locks" / "studies.lock"), pytest.raises(Timeout):
        study_storage(uri)


def test_a_study_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for uri in ("sqlite:///:memory:", "sqlite://"):
        study_storage(uri).engine.dispose()
    assert list(tmp_path.iterdir()) == []
