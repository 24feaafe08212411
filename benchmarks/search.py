"""What head-only trainings tell of full ones on MotionShapes, and how much sooner a search that starts with them is.

  python benchmarks/search.py                 30 points of the joint space; what is recorded is not trained again
  python benchmarks/search.py --again         and every full training from a second seed, for comparison

A pool of random points (methods, their parts, optimiser, schedule) is trained head-only and in full, once each, by the
engine; runs are kept in ``--folder``, so that it can be stopped at any time. A training's seconds are those of its
record: optimiser steps, looks at val and features, without what Tune and MLflow add (benchmarks/overhead.py). Points
without a cheap form are drawn over, and counted.

Time to best is a replay over this table of real trainings, with their real seconds, as if one after the other: no
search is run. Each repetition draws an order of the pool. Random search trains it in full. The cheap start trains the
first half of the same order head-only, then its best third in full, best first, then the rest of the order in full.
Both stop at a training within half a point of the pool's best on val. All orders share the one pool, so that their
quartiles do not cover another; and behind the promoted points the replay draws at random, where the verb has TPE.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import optuna
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from fsar_core.config import RunConfig
from fsar_core.data.datasets import decode_splits, open_index
from fsar_core.presets import PRESETS, Recipe
from search_spaces.head_only import NoCheapFormError, head_only
from search_spaces.spaces import joint
from sweeps.engine.launch import ray_session, run_plan
from sweeps.engine.plan import make_plan
from sweeps.engine.records import Origin, Point, RunFolder, RunRecord, Store
from sweeps.engine.site import Site, load_site
from sweeps.engine.sweep import git_commit
from sweeps.engine.watch import Display

DATASET = "motionshapes"
NEAR = 0.005
"""Of the best val accuracy: half a point."""
BOOTSTRAPS = 2000
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A point of the pool."""

    method: str
    full: RunConfig
    cheap: RunConfig


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The pool's records, by place in it."""

    methods: list[str]
    cheap_val: Numbers
    full_val: Numbers
    cheap_s: Numbers
    full_s: Numbers
    again_val: Numbers | None


def main() -> None:
    """Trains what is missing, then prints the tables of benchmarks/README.md."""
    chosen = options()
    console = Console(width=120)
    recipe = PRESETS[chosen.preset].recipe(DATASET)
    pool, without = draw_pool(recipe, chosen.pool)
    site = load_site("laptop").model_copy(update={"storage": chosen.folder.absolute()})
    trained = train_pool(pool, site, chosen.preset, again=chosen.again, console=console)
    left_out = ", ".join(f"{count} {name}" for name, count in sorted(without.items())) or "none"
    console.print(f"{len(pool)} points of the joint space; drawn without a cheap form: {left_out}\n")
    console.print(cost_table(trained), ranking_table(trained), replay_table(trained, chosen.repetitions), sep="\n")


def options() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=30, help="points that are trained both ways")
    parser.add_argument("--preset", default="laptop", choices=["laptop", "laptop64", "smoke"])
    parser.add_argument("--repetitions", type=int, default=100, help="of the replay")
    parser.add_argument("--again", action="store_true", help="also train every point in full from another seed")
    parser.add_argument("--folder", type=Path, default=Path("output/benchmarks/search"), help="of the runs")
    return parser.parse_args()


def draw_pool(recipe: Recipe, size: int) -> tuple[list[Drawn], Mapping[str, int]]:
    """Distinct random points with a cheap form; and by method, how many of those drawn had none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    pool: dict[str, Drawn] = {}
    without: dict[str, int] = {}
    while len(pool) < size:
        trial = study.ask()
        full = joint.space(trial, recipe)
        method = trial.params["method"]
        try:
            pool.setdefault(full.run_id(), Drawn(method=method, full=full, cheap=head_only(full)))
        except NoCheapFormError:
            without[method] = without.get(method, 0) + 1
    return list(pool.values()), without


def train_pool(pool: Sequence[Drawn], site: Site, preset: str, *, again: bool, console: Console) -> Trained:
    """By the engine, as many at a time as the site has room for."""
    display, store = Display(console), Store(site.storage)
    seconds = [own.full.with_seed(1) for own in pool] if again else []
    runs = [*(own.cheap for own in pool), *(own.full for own in pool), *seconds]
    with display.shown():
        index = open_index(site.place(DATASET), display.counting)
        prints = {DATASET: index.fingerprint}
        for data in {own.data.canonical_json(): own.data for run in runs for own in _with_needs(run)}.values():
            decode_splits(site.place(DATASET), data, index, display.counting)
        plan = make_plan([(run, None) for run in runs], store, prints)
        if not plan.complete():
            with ray_session(site):
                origin = Origin(preset=preset, git_commit=git_commit())
                run_plan(plan, site, origin, _Counted(display, len(plan.todo())))
    records = [_record(store, run, index.fingerprint) for run in runs]
    cheap, full, second = (records[start : start + len(pool)] for start in (0, len(pool), 2 * len(pool)))
    return Trained(
        methods=[own.method for own in pool],
        cheap_val=np.array([record.val_accuracy for record in cheap]),
        full_val=np.array([record.val_accuracy for record in full]),
        cheap_s=np.array([record.train_seconds for record in cheap]),
        full_s=np.array([record.train_seconds for record in full]),
        again_val=np.array([record.val_accuracy for record in second]) if again else None,
    )


def cost_table(trained: Trained) -> Table:
    """Seconds of a training each way, by method."""
    table = _table("Seconds of a training, median", "method", "points", "head-only", "full", "ratio")
    for name, of_method in _by_method(trained):
        cheap, full = median(trained.cheap_s[of_method]), median(trained.full_s[of_method])
        table.add_row(name, f"{of_method.sum()}", f"{cheap:.1f}", f"{full:.1f}", f"{full / cheap:.1f}")
    return table


def ranking_table(trained: Trained) -> Table:
    """How well the order of one way predicts the order of the other."""
    table = _table("Order on val", "points", "number", "Spearman [95 %]", "full, other seed", "regret of best third")
    for name, of_method in _by_method(trained):
        if of_method.sum() < 5:
            continue
        cheap, full = trained.cheap_val[of_method], trained.full_val[of_method]
        other = "" if trained.again_val is None else correlation(trained.again_val[of_method], full)
        promoted = np.argsort(-cheap, kind="stable")[: max(1, len(cheap) // 3)]
        by_chance = np.mean([_regret(full, order) for order in _thirds(len(full))])
        regret = f"{100 * _regret(full, promoted):.1f} (a random third: {100 * by_chance:.1f})"
        table.add_row(name, f"{len(full)}", correlation(cheap, full), other, regret)
    return table


def replay_table(trained: Trained, repetitions: int) -> Table:
    """Training seconds until a full training is near the pool's best."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(trained.full_val)) for _ in range(repetitions)]
    random = np.array([random_search(trained, order) for order in orders])
    cheap = np.array([cheap_start(trained, order) for order in orders])
    title = f"Training seconds to within 0.5 points of the best, {repetitions} orders"
    table = _table(title, "search", "median", "quartiles", "sooner than random")
    for name, found in (("random, in full", random), ("head-only first", cheap)):
        low, middle, high = np.percentile(found, (25, 50, 75))
        sooner = (
            "" if found is random else f"{(cheap < random).mean():.0%} of orders, {np.median(random) / middle:.1f}x"
        )
        table.add_row(name, f"{middle:.0f}", f"{low:.0f} to {high:.0f}", sooner)
    return table


def random_search(trained: Trained, order: NDArray[np.int64]) -> float:
    """Seconds until the first full training in this order that is near the best has ended."""
    near = trained.full_val[order] >= trained.full_val.max() - NEAR
    return float(trained.full_s[order][: int(near.argmax()) + 1].sum())


def cheap_start(trained: Trained, order: NDArray[np.int64]) -> float:
    """The same, with the first half head-only, and its best third promoted."""
    tried = order[: len(order) // 2]
    ranked = tried[np.argsort(-trained.cheap_val[tried], kind="stable")]
    promoted = ranked[: max(1, len(ranked) // 3)]
    then = np.concatenate([promoted, order[~np.isin(order, promoted)]])
    return float(trained.cheap_s[tried].sum()) + random_search(trained, then)


def correlation(one: Numbers, other: Numbers) -> str:
    """Spearman's, with percentiles over points drawn with replacement."""
    rng, found = np.random.default_rng(0), list[float]()
    for _ in range(BOOTSTRAPS):
        drawn = rng.integers(0, len(one), len(one))
        if len(np.unique(one[drawn])) > 1 and len(np.unique(other[drawn])) > 1:
            found.append(_spearman(one[drawn], other[drawn]))
    low, high = np.percentile(found, (2.5, 97.5))
    return f"{_spearman(one, other):.2f} [{low:.2f}, {high:.2f}]"


class _Counted:
    """Counts the runs of a plan."""

    def __init__(self, display: Display, runs: int) -> None:
        self._count, self._runs = display.counting("training"), runs
        self._ended = set[str]()
        self._count(0, runs)

    def started(self, run_key: str, run: RunConfig, step: int) -> None: ...
    def stepped(self, run_key: str, step: int, points: list[Point]) -> None: ...
    def finished(self, run_key: str, folder: RunFolder, *, failed: bool) -> None:
        self._ended.add(run_key)
        self._count(len(self._ended), self._runs)


def _record(store: Store, run: RunConfig, fingerprint: str) -> RunRecord:
    folder = store.folder_of(store.key(run, fingerprint))
    record = folder.record()
    if record is None:
        failure = folder.failure()
        raise SystemExit(f"{folder.path} has no record: {'not trained' if failure is None else failure.reason()}")
    return record


def _with_needs(run: RunConfig) -> list[RunConfig]:
    return [run, *(own for need in run.needs for own in _with_needs(need.run))]


def _by_method(trained: Trained) -> list[tuple[str, NDArray[np.bool_]]]:
    names = np.array(trained.methods)
    return [("all", np.ones(len(names), bool)), *((name, names == name) for name in sorted(set(trained.methods)))]


def _thirds(count: int) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return [rng.permutation(count)[: max(1, count // 3)] for _ in range(BOOTSTRAPS)]


def _regret(full: Numbers, promoted: NDArray[np.int64]) -> float:
    return float(full.max() - full[promoted].max())


def _spearman(one: Numbers, other: Numbers) -> float:
    return float(spearmanr(one, other)[0])  # pyright: ignore[reportArgumentType] - scipy's stubs know no tuple here


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title, title_justify="left")
    for heading in others:
        table.add_column(heading, justify="right")
    return table


if __name__ == "__main__":
    main()
