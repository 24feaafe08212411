"""The database of studies is made by one driver at a time."""

from pathlib import Path

from sweeps.engine.study_storage import study_storage
from tests.together import together


def test_drivers_that_come_at_once_find_whole_tables(tmp_path: Path) -> None:
    for storage in together(lambda: study_storage(f"sqlite:///{tmp_path / 'studies.db'}")):
        assert storage.get_all_studies() == []
        storage.engine.dispose()
