"""What tests of ``fsar gc`` share."""

import os
import time
from pathlib import Path

from sweeps.engine.gc import Found, Unreferenced, collect_garbage
from sweeps.engine.job import Job
from tests.sweeps.made_folder import files
from tests.sweeps.made_jobs import PRINT

DAY = 86_400.0


def in_storage(storage: Path, job: Job) -> Job:
    return job.model_copy(update={"folder": storage / "runs" / f"{job.run.run_id()}-{PRINT}"})


def collected(storage: Path, *, remove: bool = True, rule: Unreferenced | None = None) -> Found:
    return collect_garbage(storage, remove=remove, tell=lambda done, of: None, unreferenced=rule)


def kinds(found: Found) -> dict[str, int]:
    return {garbage.kind: garbage.size for garbage in found.garbage}


def stored(storage: Path) -> dict[str, tuple[int, int]]:
    """Without locks, which are empty."""
    return {name: stamp for name, stamp in files(storage).items() if not name.endswith(".lock")}


def old(path: Path, days: float = 40.0) -> None:
    for own in (*path.rglob("*"), path):
        os.utime(own, (time.time() - days * DAY, time.time() - days * DAY))
