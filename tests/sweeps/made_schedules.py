"""A schedule file beside a site with made videos; moments that a server brings about."""

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

from sweeps.engine.fsar import app
from tests.sweeps.made_folder import write_site

SLOTS = ("20261101T030000Z", "20261102T030000Z", "20261103T030000Z")
_ENTRY = """
[schedules.nightly]
tables = ["sgtm/table5"]
dataset = "hmdb51"
preset = "tiny"
seeds = 1
cron = "0 3 * * *"
"""


def write_schedules(folder: Path, videos: Path, uri: str, entry: str = "") -> Path:
    """``entry``: more lines of the schedule ``nightly``. MLflow is at ``uri``."""
    site = write_site(folder, videos, cache=videos.parent / "cache", head=f'tracking_uri = "{uri}"')
    path = folder / "schedules.toml"
    path.write_text(f'{_ENTRY}site = "{site}"\n{entry}\n')
    return path


def schedule(*words: str) -> Result:
    """``fsar schedule``, in this process."""
    return CliRunner().invoke(app, ["schedule", *words], env={"COLUMNS": "160"})


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the moment did not come"
        time.sleep(0.02)


def starts_noted(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Slots for which ``module`` would have started a process, by schedule; it starts none."""
    found: list[tuple[str, str]] = []

    def start(file: str, name: str, slot: str, folder: Path) -> None:
        found.append((name, slot))

    monkeypatch.setattr(module, "start", start)
    return found
