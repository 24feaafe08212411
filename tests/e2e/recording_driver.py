"""A driver that has nothing left to train: it records one finished table as the end of every sweep does.

``python recording_driver.py URI STORAGE TABLE SEEDS``; it begins when the file STORAGE/go is there.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from search_spaces.table import Table
from sweeps.engine.records import Store
from sweeps.engine.results import collect
from sweeps.engine.tracking import Tracking, TrackingError
from tests.sweeps.made_records import PRINTS, small_table


def table(name: str) -> Table:
    """All have the same trainings."""
    return small_table().model_copy(update={"name": name})


def record(uri: str, storage: Path, name: str, seeds: int) -> None:
    store = Store(storage)
    result = collect(table(name), tuple(range(seeds)), store, PRINTS)
    tracking = Tracking(uri, lock=storage / "locks" / "mlflow.lock")
    (storage / f"ready-{name.replace('/', '-')}").touch()
    while not (storage / "go").exists():
        time.sleep(0.02)
    tracking.record_runs({seed.key: seed.folder for cell in result.cells for seed in cell.seeds})
    tracking.record_table(result, name, "motionshapes", "smoke")


if __name__ == "__main__":
    try:
        record(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    except TrackingError as error:
        raise SystemExit(f"not recorded: {error}") from None
