"""Drivers that come to a new database of studies in one moment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from optuna.storages import RDBStorage

from sweeps.engine.study_storage import study_storage

_DRIVERS = 6


def opened_together(uri: str) -> list[RDBStorage]:
    start = Barrier(_DRIVERS)

    def opened(_: int) -> RDBStorage:
        start.wait()
        return study_storage(uri)

    with ThreadPoolExecutor(_DRIVERS) as drivers:
        return list(drivers.map(opened, range(_DRIVERS)))
