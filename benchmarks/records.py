"""A table rebuilt from 5,000 recorded runs: files read, intervals computed, MLflow brought up to date.

  python benchmarks/records.py          minutes, of which most make the fixture

1,667 cells under 3 seeds: 5,001 run folders, 1,000 episodes each, and an SQLite store in which all of them stand with
about 100 parameters each. The rows of the store are made by MLflow for one run and copied for the others by SQL.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table as Printed

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.methods import sgtm
from fsar_core.presets import laptop
from search_spaces.table import Cell, Table
from sweeps.engine.records import Environment, EvaluationRecord, Origin, Point, RunRecord, Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.tracking import Tracking, digests, prepare

CELLS, SEEDS, EPISODES = 1667, (0, 1, 2), 1000
PRINT = "0123456789abcdef"
PRINTS = {"motionshapes": PRINT}
ORIGIN = Origin(preset="laptop", git_commit="unknown")
T = TypeVar("T")


def main() -> None:
    """Prints what the parts take."""
    torch.set_num_threads(1)
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        store, uri, table = Store(Path(folder)), f"sqlite:///{folder}/mlflow.db", _table()
        _record(store, table, console)
        _fill_mlflow(store, table, uri, console)
        lines: list[tuple[str, float, float]] = []
        result = _timed(lines, "collect: files to numbers", lambda: collect(table, SEEDS, store, PRINTS))
        for what in ("the first time after the search", "every later time"):
            _timed(lines, f"record_runs of every run, {what}", lambda: _each(uri, store, table))
        for what in ("the table for the first time", "the table again: nothing is new"):
            _timed(lines, f"record_table, {what}", lambda: _tracked(uri, result))
        shown = Printed(f"{CELLS} cells, {CELLS * len(SEEDS)} runs", "seconds", "CPU seconds")
        for name, seconds, used in lines:
            shown.add_row(name, f"{seconds:.1f}", f"{used:.1f}")
        console.print(shown)


def _timed(lines: list[tuple[str, float, float]], name: str, work: Callable[[], T]) -> T:
    began, used = time.perf_counter(), time.process_time()
    found = work()
    lines.append((name, time.perf_counter() - began, time.process_time() - used))
    return found


def _tracked(uri: str, result: TableResult) -> str:
    return Tracking(uri).record_table(result, "launch", "motionshapes", "laptop")


def _each(uri: str, store: Store, table: Table) -> None:
    Tracking(uri).record_runs({store.key(run, PRINT): store.folder(run, PRINT) for run in _runs(table)})


def _runs(table: Table) -> list[RunConfig]:
    return [cell.run.with_seed(seed) for cell in table.cells for seed in SEEDS]


def _table() -> Table:
    recipe = laptop("motionshapes")
    evaluation = EvalConfig(episodes=EPISODES)
    cells = tuple(
        Cell(
            row=f"ratio {i}",
            column="1-shot",
            settings={"ratio": i},
            run=sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy="random", ratio=0.1 + 0.0005 * i)),
            evaluation=evaluation,
        )
        for i in range(CELLS)
    )
    return Table(name="benchmark/records", title="A large table", cells=cells, reference="ratio 0")


def _record(store: Store, table: Table, console: Console) -> None:
    environment = Environment(host="node", device="x86_64 CPU", versions={"torch": "2.15.0"})
    names = ("train/loss", "train/lr", "val/accuracy")
    history = tuple(Point(step=i, time_ms=i, metrics=dict.fromkeys(names, 0.5)) for i in range(20))
    rng = np.random.default_rng(0)
    evaluation = table.cells[0].evaluation
    for run in track(_runs(table), "writing records", console=console, transient=True):
        folder, correct = store.folder(run, PRINT), rng.binomial(5, 0.5, EPISODES)
        record = RunRecord(
            run=run, origin=ORIGIN, fingerprint=PRINT, environment=environment, started_ms=0, ended_ms=1,
            train_seconds=60.0, resumed_at=(), history=history, best_step=1, val_accuracy=0.5,
        )  # fmt: skip
        measured = EvaluationRecord(
            run_id=run.run_id(), evaluation=evaluation, fingerprint=PRINT, accuracy=float(correct.mean() / 5),
            ci95=0.01, per_class=dict.fromkeys("abcdefghijkl", 0.5), seconds=1.0, ended_ms=1, origin=ORIGIN,
        )  # fmt: skip
        folder.write_record(record)
        folder.write_evaluation(evaluation.eval_id(run), measured, correct)


def _fill_mlflow(store: Store, table: Table, uri: str, console: Console) -> None:
    prepare(uri)
    first, *others = _runs(table)
    template = Tracking(uri).record_run(store.key(first, PRINT), store.folder(first, PRINT))
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        for i, run in enumerate(track(others, "filling MLflow", console=console, transient=True)):
            files, _ = digests(store.folder(run, PRINT))
            _copied(database, str(template), f"{i:032x}", {"fsar.key": store.key(run, PRINT), "fsar.files": files})
    database.close()


def _copied(database: sqlite3.Connection, template: str, run_id: str, tags: dict[str, str]) -> None:
    for table in ("runs", "params", "tags", "latest_metrics"):
        names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        values = ", ".join("?" if name == "run_uuid" else f'"{name}"' for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        copy = f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE run_uuid = ?"
        database.execute(copy, (run_id, template))
    for key, value in tags.items():
        database.execute("UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?", (value, run_id, key))


if __name__ == "__main__":
    main()
