"""Reruns with records that a test knows, without any training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search_spaces.table import Table
from sweeps.engine.records import Environment, Store
from sweeps.engine.reruns import Code, Machines, Number, Rerun, rerun_folder, write
from sweeps.engine.site import Site
from tests.sweeps.made_records import START_MS, TRAIN, small_table, train_record, write_outcomes

NAME = "nightly"
CODE = Code(git_commit="0123456789abcdef", dirty=False, source="aaaa")


def slot(number: int) -> str:
    """A night."""
    return f"202611{number + 1:02d}T030000Z"


def machines(device: str = "x86_64 CPU, 2 cores", torch: str = "2.15.0", threads: int | None = None) -> Machines:
    versions = {"torch": torch, "numpy": "2.4.0"}
    trained = Environment(host="node-1", device=device, versions=versions, threads=threads)
    return Machines(
        host="node-1", python="3.11.9", platform="Linux-6", versions={"mlflow": "3.17"}, trained_on=(trained,)
    )


def outcomes(mean: float, asked: int, episodes: int, draw: int) -> np.ndarray:
    """Right answers of each episode, whose mean is ``mean`` to the last query; which episodes go well depends on
    ``draw``."""
    total = round(mean * asked * episodes)
    correct = np.full(episodes, total // episodes)
    correct[: total % episodes] += 1
    return np.random.default_rng(draw).permutation(correct)


def made_rerun(
    site: Site,
    number: int,
    means: Sequence[Sequence[float]],
    *,
    seeds: Sequence[int] | None = None,
    table: Table | None = None,
    code: Code = CODE,
    where: Machines | None = None,
    draw: int = 0,
    loss: float = 1.0,
    fresh: bool = True,
    tracking_run: str = "none",
) -> Rerun:
    """``means``: (cells, seeds). By default the seeds are others in every rerun."""
    table = table or small_table()
    seeds = [number * len(means[0]) + i for i in range(len(means[0]))] if seeds is None else list(seeds)
    storage = rerun_folder(site, NAME, slot(number)) if fresh else site.storage
    rerun = Rerun(
        schedule=NAME,
        slot=slot(number),
        storage=storage,
        tables=(table.name,),
        script=None,
        dataset="motionshapes",
        preset="smoke",
        seeds=tuple(seeds),
        fresh=fresh,
        code=code,
        machines=where or machines(),
        fingerprints={"motionshapes": TRAIN},
        cells=len(table.cells),
        cells_done=len(means),
        numbers=tuple(_numbers(storage, table, means, seeds, draw, loss)),
        started_ms=START_MS,
        ended_ms=START_MS + 1000,
        exit_code=0 if len(means) == len(table.cells) else 1,
        tracking_run=tracking_run,
    )
    write(site, rerun)
    return rerun


def _numbers(
    storage: Path, table: Table, means: Sequence[Sequence[float]], seeds: Sequence[int], draw: int, loss: float
) -> list[Number]:
    store, found = Store(storage), list[Number]()
    for c, (cell, row) in enumerate(zip(table.cells, means, strict=False)):
        for seed, mean in zip(seeds, row, strict=True):
            run, evaluation = cell.run.with_seed(seed), cell.evaluation
            record = train_record(run)
            points = tuple(p.model_copy(update={"metrics": {"train/loss": loss / p.step}}) for p in record.history)
            store.folder(run, TRAIN).write_record(record.model_copy(update={"history": points}))
            correct = outcomes(mean, evaluation.way * evaluation.queries, evaluation.episodes, draw + 100 * c + seed)
            kept = write_outcomes(store, run, evaluation, correct)
            printed = cell.published[0].percent if cell.published else None
            found.append(
                Number(
                    table=table.name,
                    row=cell.row,
                    column=cell.column,
                    seed=seed,
                    run=store.key(run, TRAIN),
                    eval_id=evaluation.eval_id(run),
                    fingerprint=TRAIN,
                    accuracy=kept.accuracy,
                    printed=printed,
                )
            )
    return found
