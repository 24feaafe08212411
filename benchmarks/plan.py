"""A plan of 10,000 cells against the plain way: every id computed anew for every use, every record parsed.

  python benchmarks/plan.py          about a minute, one thread

3,334 cells under 3 seeds, tested in 4 ways, over 834 configurations: 2,502 trainings and a pretraining that all need.
Each cell has a config of its own, as papers' rows are made one by one. A third of the trainings is recorded. Both ways
alternate in one run, with configs made afresh for each turn, and must find the same work. CPU seconds of this process.
"""

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.frozen import Frozen, content_id
from fsar_core.methods import sgtm
from fsar_core.presets import laptop
from search_spaces.table import Cell
from sweeps.engine.plan import asked, make_plan
from sweeps.engine.planning import report
from sweeps.engine.records import Environment, EvaluationRecord, Origin, Point, RunRecord, Store
from sweeps.engine.site import DatasetEntry, Site

CONFIGS, CELLS, SEEDS, ROUNDS = 834, 3334, (0, 1, 2), 3
PRINTS = {"motionshapes": "0123456789abcdef"}
Work = dict[str, tuple[int, int]]
"""By key, the steps left and the missing evaluations."""


def main() -> None:
    """Prints the table of benchmarks/README.md."""
    torch.set_num_threads(1)
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        _record_a_third(store, console)
        site = Site(storage=Path(folder), datasets={"motionshapes": DatasetEntry(root=Path(folder))})
        ways: dict[str, Callable[[list[Cell]], Work]] = {
            "make_plan": partial(_ours, store),
            "ids anew for every use": partial(_plain, store),
            "make_plan and the report": partial(_reported, store, site),
        }
        _print(_timed(ways, console), console)


def _cells() -> list[Cell]:
    recipe = laptop("motionshapes")
    ratios = [0.1 + 0.001 * i for i in range(CONFIGS)]
    return [
        Cell(
            row=str(i),
            column="5-way",
            settings={},
            run=sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy="random", ratio=ratios[i % CONFIGS])),
            evaluation=EvalConfig(way=5 + i // CONFIGS),
        )
        for i in range(CELLS)
    ]


def _ours(store: Store, cells: list[Cell]) -> Work:
    plan = make_plan(asked(cells, SEEDS), store, PRINTS)
    return {planned.key: (planned.steps_left, len(planned.missing)) for planned in plan.runs}


def _reported(store: Store, site: Site, cells: list[Cell]) -> Work:
    wanted = {f"table{i}": asked(cells[i::4], SEEDS) for i in range(4)}
    plan = make_plan((pair for own in wanted.values() for pair in own), store, PRINTS)
    made = report(wanted, plan, site, 8, measured=False)
    made.json_bytes()
    return {own.key: (own.steps_left, sum(not e.known for e in own.evaluations)) for own in made.trainings}


def _plain(store: Store, cells: list[Cell]) -> Work:
    """Without anything remembered, as a first version would be."""
    runs: dict[str, RunConfig] = {}
    evaluations: dict[str, dict[str, EvalConfig]] = {}
    for cell in cells:
        for seed in SEEDS:
            run = RunConfig.model_validate({**dict(cell.run), "seed": seed})
            for own in (*(need.run for need in run.needs), run):
                runs.setdefault(_key(own), own)
            evaluations.setdefault(_key(run), {})[content_id(_id(run), _json(cell.evaluation))] = cell.evaluation
    return {_key(run): _lacking(store, run, evaluations.get(_key(run), {})) for run in runs.values()}


def _lacking(store: Store, run: RunConfig, evaluations: dict[str, EvalConfig]) -> tuple[int, int]:
    folder = store.folder_of(_key(run))
    steps = run.training.steps if folder.record() is None else 0
    ids = [content_id(_id(run), _json(own)) for own in evaluations.values()]
    return steps, sum(folder.evaluation(eval_id, PRINTS["motionshapes"]) is None for eval_id in ids)


def _key(run: RunConfig) -> str:
    return f"{_id(run)}-{PRINTS[run.data.dataset]}"


def _id(run: RunConfig) -> str:
    return content_id(_json(run))


def _json(config: Frozen) -> str:
    return json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _record_a_third(store: Store, console: Console) -> None:
    environment = Environment(host="node", device="x86_64 CPU", versions={})
    origin = Origin(preset="laptop", git_commit="unknown")
    history = tuple(Point(step=i, time_ms=i, metrics={"train/loss": 1.0, "train/lr": 0.1}) for i in range(20))
    for run, evaluation in track(asked(_cells(), SEEDS[:1]), "recording", console=console, transient=True):
        folder = store.folder(run, PRINTS["motionshapes"])
        folder.write_record(
            RunRecord(
                run=run, origin=origin, fingerprint=PRINTS["motionshapes"], environment=environment, started_ms=0,
                ended_ms=1, train_seconds=60.0, resumed_at=(), history=history, best_step=1, val_accuracy=0.5,
            )
        )  # fmt: skip
        if evaluation is not None:
            record = EvaluationRecord(
                run_id=run.run_id(), evaluation=evaluation, fingerprint=PRINTS["motionshapes"], accuracy=0.5,
                ci95=0.01, per_class={"a": 0.5}, seconds=1.0, ended_ms=1, origin=origin,
            )  # fmt: skip
            folder.write_evaluation(evaluation.eval_id(run), record, np.zeros(100))


def _timed(ways: dict[str, Callable[[list[Cell]], Work]], console: Console) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in track(range(ROUNDS), "measuring", console=console, transient=True):
        found: list[Work] = []
        for name, way in ways.items():
            cells = _cells()  # nothing is remembered from the turn before
            began = time.process_time()
            found.append(way(cells))
            seconds[name].append(time.process_time() - began)
        assert all(own == found[0] for own in found), "the ways find other work"
    return seconds


def _print(seconds: dict[str, list[float]], console: Console) -> None:
    table = Table("10,002 cells, 2,503 trainings", "CPU s, median", "fastest to slowest", "make_plan is faster by")
    ours = median(seconds["make_plan"])
    for name, own in seconds.items():
        table.add_row(name, f"{median(own):.2f}", f"{min(own):.2f} to {max(own):.2f}", f"{median(own) / ours:.1f}x")
    console.print(table)


if __name__ == "__main__":
    main()
