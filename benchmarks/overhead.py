"""What a search costs per trial beyond training: Ray Tune, Optuna and MLflow around trainings that only wait.

  python benchmarks/overhead.py                     10, 100 and 1,000 trials that take no time: about 5 minutes
  python benchmarks/overhead.py 300 --seconds 1     trials of a second, while which the driver prepares the next
  python benchmarks/overhead.py 100 --sampler random --profile

Everything is real but the training: the searcher with its study in SQLite, ASHA, Ray workers that are reused, two at a
time, the watcher and MLflow in SQLite. The stand-in for a training tells three looks at val and writes a record, which
is part of what is measured. Beside it, in the same run, as many Ray tasks that do nothing, two at a time.
"""

import cProfile
import itertools
import os
import pstats
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import optuna
import ray
import typer
from idle_runs import ORIGIN, PRINTS, leave_record, look
from optuna.trial import BaseTrial
from ray import tune
from rich.console import Console
from rich.table import Table

from fsar_core.config import RunConfig
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe, laptop
from search_spaces.space import Space
from search_spaces.spaces import mask_ratio
from sweeps.engine.job import Job
from sweeps.engine.launch import fit, ray_session
from sweeps.engine.recording import Recording
from sweeps.engine.records import Point, RunFolder, Store
from sweeps.engine.run_watcher import RunWatcher
from sweeps.engine.search import StudySearcher
from sweeps.engine.search_asked import SAMPLERS, Sampler
from sweeps.engine.search_study import counted, finished, open_study, stopped
from sweeps.engine.site import DatasetEntry, Site
from sweeps.engine.telling import Telling
from sweeps.engine.tracking import Tracking, prepare
from sweeps.engine.tracking_search import record_search
from sweeps.engine.watch import Display
from sweeps.engine.worker_choice import FirstWaitingAsha

SLOTS, WINDOW = 2, 100
RECIPE = laptop("motionshapes")


def define(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """A share of masked frames, which frames, and lambda; thousands of points."""
    ratio = trial.suggest_float("ratio", 0.1, 0.9)
    weight = trial.suggest_float("lambda", 0.0, 1.0)
    region = trial.suggest_categorical("region", ["random", "top"])
    strategy = "random" if region == "random" else "top"
    return sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy=strategy, ratio=ratio, weight=weight))


SPACE = Space(name="overhead", define=define, first=(), grid=mask_ratio.grid)


@dataclass
class Spent:
    """Seconds of one search, by part, and the moments at which its trials ended."""

    parts: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """Of the clock, and of the CPU: of the thread that did it, of all threads for what has all of them."""
    ended: list[float] = field(default_factory=list[float])
    trained: list[float] = field(default_factory=list[float])
    """Seconds of the training of each."""

    @contextmanager
    def on(self, part: str, cpu: Callable[[], float] = time.thread_time) -> Generator[None]:
        """Adds what passes within it."""
        began, used = time.perf_counter(), cpu()
        try:
            yield
        finally:
            before = self.parts.get(part, (0.0, 0.0))
            self.parts[part] = (before[0] + time.perf_counter() - began, before[1] + cpu() - used)

    def window(self, first: int) -> float:
        """Milliseconds per trial over ``WINDOW`` of them from the given one on, less those that its slot trained."""
        last = min(first + WINDOW, len(self.ended) - 1)
        trained = sum(self.trained[first + 1 : last + 1]) / SLOTS
        return 1000 * (self.ended[last] - self.ended[first] - trained) / (last - first)


class TimedSearcher(StudySearcher):
    """The searcher with a clock."""

    spent: Spent
    seconds_a_step: float

    def suggest(self, trial_id: str) -> Any:
        with self.spent.on("searcher: suggest"):
            return super().suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        with self.spent.on("searcher: looks"):
            super().on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        with self.spent.on("searcher: tell"):
            super().on_trial_complete(trial_id, result, error)
        self.spent.ended.append(time.perf_counter())
        self.spent.trained.append(self.seconds_a_step * (result or {}).get("step", 0))


class TimedTracking(Tracking):
    """With a clock, in the thread that tells MLflow."""

    spent: Spent

    def progress(self, store_key: str, run: RunConfig, points: Sequence[Point]) -> None:
        with self.spent.on("beside it: looks to MLflow"):
            super().progress(store_key, run, points)

    def record_run(self, store_key: str, folder: RunFolder) -> str | None:
        with self.spent.on("beside it: record to MLflow"):
            return super().record_run(store_key, folder)


def no_training(config: Mapping[str, Any], seconds_a_step: float) -> None:
    """Tells three looks, as a training would, and writes the record. Its accuracy comes from the point alone."""
    job = Job.model_validate_json(config["job"])
    accuracy = int(job.run.run_id()[:6], 16) / 0xFFFFFF
    steps, points = job.run.training.steps, list[Point]()
    for before, step in itertools.pairwise((0, steps // 4, steps // 2, steps)):
        time.sleep((step - before) * seconds_a_step)
        points.append(look(step, accuracy))
        if step == steps:
            leave_record(job, points, accuracy)
        judged = {"val_accuracy": accuracy} if config["judged"] else {}
        tune.report({"step": step, "points": [points[-1].model_dump()], "failed": False, **judged})


def search(trials: int, site: Site, sampler: Sampler, seconds: float) -> Spent:
    """A search of so many trials in folders of its own; ``seconds`` of each that nothing stops."""
    spent = Spent()
    uri = site.mlflow_uri()
    prepare(uri)
    study = open_study(site.optuna_uri(), "overhead", SPACE, "motionshapes", sampler=sampler)
    searcher = TimedSearcher(study, SPACE, RECIPE, trials, Store(site.storage), site, PRINTS, ORIGIN)
    searcher.spent = spent
    steps = RECIPE.few_shot(sgtm.baseline(RECIPE.backbone)).training.steps
    searcher.seconds_a_step = seconds / steps
    tracking = TimedTracking(uri)
    tracking.spent = spent
    scheduler = FirstWaitingAsha(
        time_attr="step",
        metric="val_accuracy",
        mode="max",
        max_t=steps + 1,
        grace_period=steps // 4,
        reduction_factor=3,
    )
    with spent.on("all", time.process_time):
        with spent.on("fit, and MLflow's backlog at its end"), Recording(display := Display(Console())) as recording:
            watcher = RunWatcher(display, tracking, recording, runs=trials, steps=trials * steps)
            with spent.on("fit"):
                fit(searcher, site, Telling(watcher), scheduler, partial(no_training, seconds_a_step=seconds / steps))
        with spent.on("record_search, at the end"):
            record_search(Tracking(uri), study, "motionshapes", "Made by a benchmark.", {})
    assert len(counted(study)) == len(finished(study)) + len(stopped(study)) == trials
    return spent


@ray.remote(num_cpus=1)
def nothing() -> None:
    """Of the plain reference."""


def plain_tasks(count: int) -> float:
    """Seconds of as many tasks that do nothing, ``SLOTS`` at a time."""
    ray.get([nothing.remote() for _ in range(SLOTS)])  # workers start
    began = time.perf_counter()
    waiting = [nothing.remote() for _ in range(SLOTS)]
    for _ in itertools.repeat(None, count - SLOTS):
        (_,), waiting = ray.wait(waiting)
        waiting.append(nothing.remote())
    ray.get(waiting)
    return time.perf_counter() - began


def show(found: Mapping[int, tuple[Spent, float]], console: Console) -> None:
    """Milliseconds per trial: of the clock, and of the driver's CPU, for which other work counts less."""
    words = "in brackets CPU: of the thread that did it, of all of the driver in the first line"
    table = Table(title=f"milliseconds per trial, {SLOTS} at a time; {words}")
    for heading in ("", *(f"{trials} trials" for trials in found)):
        table.add_column(heading, justify="right" if heading else "left")
    parts = dict.fromkeys(part for spent, _ in found.values() for part in spent.parts)
    for part in ("all", *(part for part in parts if part != "all")):
        table.add_row(part, *(_both(spent.parts.get(part), trials) for trials, (spent, _) in found.items()))
    for name, first in (("first", 0), ("last", -WINDOW - 1)):
        cells = [
            f"{spent.window(first % len(spent.ended)):.1f}" if n >= WINDOW else "" for n, (spent, _) in found.items()
        ]
        table.add_row(f"fit, beyond training, the {name} {WINDOW} trials", *cells)
    table.add_row("plain Ray tasks", *(f"{1000 * seconds / trials:.1f}" for trials, (_, seconds) in found.items()))
    console.print(table)


def _both(spent: tuple[float, float] | None, trials: int) -> str:
    return "" if spent is None else f"{1000 * spent[0] / trials:.1f} ({1000 * spent[1] / trials:.1f})"


def main(
    trials: Annotated[list[int] | None, typer.Argument(help="Sizes of the searches; by default 10 100 1000.")] = None,
    sampler: Annotated[str, typer.Option(help=", ".join(SAMPLERS))] = "tpe",
    seconds: Annotated[float, typer.Option(help="That a trial takes by itself, where it is not stopped.")] = 0.0,
    profile: Annotated[bool, typer.Option(help="Show where the driver's time goes.")] = False,
) -> None:
    """Prints what the parts take."""
    console, found = Console(width=120), dict[int, tuple[Spent, float]]()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for count in trials or [10, 100, 1000]:
        with tempfile.TemporaryDirectory() as folder:
            site = Site(
                storage=Path(folder) / "output",
                cache=Path(folder) / "cache",
                datasets={"motionshapes": DatasetEntry(root=Path(folder))},
                cpus_per_run=(os.cpu_count() or SLOTS) / SLOTS,
            )
            with ray_session(site):
                reference = plain_tasks(count)
                work = partial(search, count, site, sampler_named(sampler), seconds)
                found[count] = (profiled(work) if profile else work(), reference)
    show(found, console)


def sampler_named(name: str) -> Sampler:
    """Raises BadParameter for an unknown one."""
    for own in SAMPLERS:
        if own == name:
            return own
    raise typer.BadParameter(f"--sampler must be one of {', '.join(SAMPLERS)}, got {name!r}")


def profiled(work: Callable[[], Spent]) -> Spent:
    """Prints the functions in which the driver spends most."""
    profile = cProfile.Profile()
    found = profile.runcall(work)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
    return found


if __name__ == "__main__":
    typer.run(main)
