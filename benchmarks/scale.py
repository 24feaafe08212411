"""How sweeps grow: 10 to 10,000 runs that train nothing, on resources that are declared and not there.

  python benchmarks/scale.py                                     10, 100, 1,000 and 10,000 runs
  python benchmarks/scale.py 10000 --seconds 1 --slots 16        against the ideal of 625 s
  python benchmarks/scale.py 1000 --seconds 1 --slots 16 --alone   the same runs by Ray Tune alone
  python benchmarks/scale.py 200 --reports 50                    what a report of a run at work costs its driver

Everything is real but the training: the plan, Ray workers that are reused, runs that write a record and an evaluation
of 1,000 episodes, MLflow in SQLite. Every size has a process of its own, whose memory is told.
"""

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import ray
import torch
import typer
from idle_runs import ORIGIN, PRINTS, leave_evaluations, leave_record, look
from ray import tune
from rich.console import Console
from rich.table import Table as Printed

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.methods import sgtm
from fsar_core.presets import laptop
from search_spaces.table import Cell, Table
from sweeps.engine.formats import markdown
from sweeps.engine.job import Job
from sweeps.engine.launch import fit, jobs_of
from sweeps.engine.plan import asked, make_plan
from sweeps.engine.plan_searcher import PlanSearcher
from sweeps.engine.recording import Recording
from sweeps.engine.records import Point, RunFolder, Store
from sweeps.engine.results import collect
from sweeps.engine.run_watcher import RunWatcher
from sweeps.engine.site import DatasetEntry, Site
from sweeps.engine.telling import Telling
from sweeps.engine.tracking import Tracking, prepare
from sweeps.engine.watch import Display

EVALUATION = EvalConfig(episodes=1000)
WINDOW = 100
T = TypeVar("T")


class Asked(NamedTuple):
    """One column of the table."""

    runs: int
    seconds: float
    """That a run takes by itself."""
    slots: int
    """Runs at a time: CPUs and GPUs declared to Ray."""
    tracked: bool
    alone: bool
    reports: int
    """That a run makes."""


class Found(NamedTuple):
    """Seconds and MiB; nan for what was not asked for."""

    plan: float = float("nan")
    first: float = float("nan")
    """From the launch until the first run ended: Ray and its first workers start."""
    rest: float = float("nan")
    """From there until the last run ended."""
    backlog: float = float("nan")
    """What MLflow takes beyond that."""
    first_window: float = float("nan")
    """Milliseconds a run, over the first ``WINDOW`` ends."""
    last_window: float = float("nan")
    grown: float = float("nan")
    """Memory of the driver at its most, beyond that before the launch."""
    resume: float = float("nan")
    """The plan again, where half of the runs lack their record, and its jobs."""
    report: float = float("nan")
    """Files to numbers, intervals and a table in Markdown."""
    files: float = float("nan")
    """KiB of a run in the storage, without weights."""
    database: float = float("nan")
    """KiB of a run in MLflow's database."""


class Ends(PlanSearcher):
    """With the moments at which runs ended."""

    moments: list[float]

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        super().on_trial_complete(trial_id, result, error)
        self.moments.append(time.perf_counter())


class Nobody:
    """A watcher that tells nothing."""

    def started(self, run_key: str, run: RunConfig, step: int) -> None: ...
    def stepped(self, run_key: str, step: int, points: list[Point]) -> None: ...
    def finished(self, run_key: str, folder: RunFolder, *, failed: bool) -> None: ...


def no_training(config: Mapping[str, Any], seconds: float, reports: int) -> None:
    """Waits and reports, then leaves what a training leaves."""
    job = Job.model_validate_json(config["job"])
    for step in range(1, reports):
        time.sleep(seconds / reports)
        tune.report({"step": step, "points": [], "failed": False})
    time.sleep(seconds / reports)
    step = job.run.training.steps
    looks = [look(own, 0.5) for own in (step // 4, step // 2, step)]
    leave_evaluations(job)
    leave_record(job, looks, 0.5)
    tune.report({"step": step, "points": [point.model_dump() for point in looks], "failed": False})


def cells(runs: int) -> tuple[Cell, ...]:
    """So many configurations, each a row. They share one pretraining more."""
    recipe = laptop("motionshapes")
    return tuple(
        Cell(
            row=f"ratio {i}",
            column="1-shot",
            settings={"ratio": i},
            run=sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy="random", ratio=0.1 + 0.8 * i / runs)),
            evaluation=EVALUATION,
        )
        for i in range(runs)
    )


def measured(line: Asked) -> Found:
    """In this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(
            storage=Path(folder) / "output",
            cache=Path(folder) / "cache",
            datasets={"motionshapes": DatasetEntry(root=Path(folder))},
            cpus_per_run=1,
            gpus_per_run=1,
        )
        quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        ray.init(address="local", num_cpus=line.slots, num_gpus=line.slots, **quiet)
        try:
            return alone(line, site) if line.alone else swept(line, site)
        finally:
            ray.shutdown()


def alone(line: Asked, site: Site) -> Found:
    """Ray Tune without a plan, a watcher or MLflow, and runs that write nothing."""
    moments: list[float] = []

    class Ended(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            moments.append(time.perf_counter())

    def nothing(config: dict[str, Any]) -> None:
        time.sleep(line.seconds)
        tune.report({"step": 1})

    began = time.perf_counter()
    tune.Tuner(
        tune.with_resources(nothing, {"CPU": 1, "GPU": 1}),
        param_space={"number": tune.grid_search(list(range(line.runs)))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(site.storage), verbose=0, callbacks=[Ended()]),
    ).fit()
    return _paced(Found(), began, moments)


def swept(line: Asked, site: Site) -> Found:
    """As ``fsar run`` does it."""
    store, console = Store(site.storage), Console(quiet=True)
    table = Table(name="benchmark/scale", title="Many runs", cells=cells(line.runs), reference="ratio 0")
    wanted = asked(table.cells, (0,))
    plan, planned = timed(lambda: make_plan(wanted, store, PRINTS))
    prepare(site.mlflow_uri())
    needs = {planned.key: planned.needs for planned in plan.todo()}
    before, began, moments = peak_mib(), time.perf_counter(), list[float]()
    with Recording(Display(console)) as recording:
        told = RunWatcher(Display(console), Tracking(site.mlflow_uri()), recording, runs=line.runs, steps=1)
        searcher = Ends(jobs_of(plan, site, ORIGIN), needs, watcher := told if line.tracked else Nobody())
        searcher.moments = moments
        fit(
            searcher, site, Telling(watcher), trainable=partial(no_training, seconds=line.seconds, reports=line.reports)
        )
    backlog, grown = time.perf_counter() - moments[-1], peak_mib() - before
    assert make_plan(wanted, store, PRINTS).complete(), "not every run came to its end"
    _, reported = timed(lambda: markdown(collect(table, (0,), store, PRINTS)))
    for own in plan.runs[len(plan.runs) // 2 :]:
        (own.folder.path / "run.json").unlink()
    _, resumed = timed(lambda: jobs_of(make_plan(wanted, store, PRINTS), site, ORIGIN))
    found = Found(
        plan=planned,
        backlog=backlog,
        grown=grown,
        resume=resumed,
        report=reported,
        files=kib(store.root / "runs") / line.runs,
        database=kib(Path(site.mlflow_uri().removeprefix("sqlite:///"))) / line.runs,
    )
    return _paced(found, began, moments)


def _paced(found: Found, began: float, moments: list[float]) -> Found:
    last = min(WINDOW, len(moments) - 1)
    return found._replace(
        first=moments[0] - began,
        rest=moments[-1] - moments[0],
        first_window=1000 * (moments[last] - moments[0]) / last,
        last_window=1000 * (moments[-1] - moments[-1 - last]) / last,
    )


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and its seconds."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def peak_mib() -> float:
    """The most memory that this process had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def kib(place: Path) -> float:
    """Of a file, or of all files in a folder."""
    paths = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in paths) / 1024


def show(lines: Mapping[Asked, Found], console: Console) -> None:
    """A column for every size."""
    table = Printed(title="seconds, unless it says otherwise")
    for heading in ("", *(f"{line.runs:,} runs" for line in lines)):
        table.add_column(heading, justify="right" if heading else "left")
    rows: dict[str, Callable[[Asked, Found], float]] = {
        "plan": lambda _, found: found.plan,
        "launch to the first end": lambda _, found: found.first,
        "from there to the last end": lambda _, found: found.rest,
        "ideal of that": lambda line, _: line.runs * line.seconds / line.slots,
        "MLflow's backlog after it": lambda _, found: found.backlog,
        f"ms a run, the first {WINDOW} ends": lambda _, found: found.first_window,
        f"ms a run, the last {WINDOW} ends": lambda _, found: found.last_window,
        "MiB that the driver grew": lambda _, found: found.grown,
        "the plan again, half of it recorded": lambda _, found: found.resume,
        "files to a table": lambda _, found: found.report,
        "KiB a run in the storage": lambda _, found: found.files,
        "KiB a run in MLflow": lambda _, found: found.database,
    }
    for name, value in rows.items():
        values = [value(line, found) for line, found in lines.items()]
        table.add_row(name, *("" if math.isnan(own) else f"{own:,.2f}" for own in values))
    console.print(table)


def main(
    runs: Annotated[list[int] | None, typer.Argument(help="By default 10 100 1000 10000.")] = None,
    seconds: Annotated[float, typer.Option(help="What a run takes by itself.")] = 0.0,
    slots: Annotated[int, typer.Option(help="Runs at a time.")] = 2,
    tracked: Annotated[bool, typer.Option(help="Tell MLflow.")] = True,
    alone: Annotated[bool, typer.Option(help="Ray Tune alone, which is the plain reference.")] = False,
    reports: Annotated[int, typer.Option(help="That a run makes.")] = 1,
    numbers: Annotated[bool, typer.Option("--json", help="Of one size, as JSON.")] = False,
) -> None:
    """Prints what each size takes."""
    lines = [Asked(count, seconds, slots, tracked, alone, reports) for count in runs or [10, 100, 1000, 10000]]
    if numbers:
        (line,) = lines
        print(json.dumps(measured(line)))
    else:
        show({line: in_own_process(line) for line in lines}, Console(width=120))


def in_own_process(line: Asked) -> Found:
    """Its memory is then that of this size."""
    flags = ["--seconds", f"{line.seconds}", "--slots", f"{line.slots}", "--reports", f"{line.reports}", "--json"]
    flags += ["--tracked" if line.tracked else "--no-tracked", "--alone" if line.alone else "--no-alone"]
    command = [sys.executable, __file__, str(line.runs), *flags]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Found(*json.loads(made.stdout.splitlines()[-1]))


if __name__ == "__main__":
    typer.run(main)
