"""Runs that need each other, and what trainings leave behind, made up without any training."""

import json
from pathlib import Path

from fsar_core.config import EvalConfig, Need, RunConfig
from search_spaces.table import Cell, Table
from sweeps.engine.job import Job
from sweeps.engine.records import Point, RunFolder
from sweeps.engine.site import DatasetEntry, Site
from tests.sweeps.made_records import ORIGIN, PRINTS, run_config

FIRST = run_config(0.9, steps=50)
"""What ``needing`` needs."""


def needing(run: RunConfig, *needs: RunConfig) -> RunConfig:
    """The same run, but with weights from others."""
    targets = ("backbone", "steps.pool", "heads")
    made = tuple(Need(run=need, source="backbone", target=t) for need, t in zip(needs, targets, strict=False))
    return RunConfig.model_validate({**dict(run), "needs": made})


def made_cell(row: str, run: RunConfig, *, episodes: int = 40) -> Cell:
    return Cell(
        row=row, column="1-shot", settings={}, run=run, evaluation=EvalConfig(dataset="hmdb51", episodes=episodes)
    )


def made_table(*cells: Cell) -> Table:
    return Table(name="made", title="A made table", cells=cells)


def write_checkpoint(folder: RunFolder, step: int) -> None:
    """As far as a plan looks at it."""
    checkpoint = folder.checkpoints / f"step-{step:08d}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text(json.dumps({"step": step}))


def made_site(folder: Path) -> Site:
    return Site(
        storage=folder / "output",
        cache=folder / "cache",
        datasets={"motionshapes": DatasetEntry(root=folder / "videos")},
    )


def made_job(folder: Path, run: RunConfig | None = None) -> Job:
    run = run or run_config()
    return Job(
        run=run,
        missing=(),
        folder=folder / run.run_id(),
        needs={},
        fingerprints=PRINTS,
        site=made_site(folder),
        origin=ORIGIN,
    )


class Heard:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.steps: list[tuple[str, int]] = []
        self.ended: list[tuple[str, bool]] = []

    def started(self, run_key: str, run: RunConfig, step: int) -> None:
        self.begun.append((run_key, step))

    def stepped(self, run_key: str, step: int, points: list[Point]) -> None:
        self.steps.append((run_key, step))

    def finished(self, run_key: str, folder: RunFolder, *, failed: bool) -> None:
        self.ended.append((run_key, failed))
