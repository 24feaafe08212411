"""The database of studies is made by one driver at a time."""

from pathlib import Path

from tests.sweeps.opened_together import opened_together


def test_drivers_that_come_at_once_find_whole_tables(tmp_path: Path) -> None:
    for storage in opened_together(f"sqlite:///{tmp_path / 'studies.db'}"):
        assert storage.get_all_studies() == []
        storage.engine.dispose()
