"""Tables and run folders made up from a seed, without any training."""

import numpy as np

from fsar_core.backbones.small_net import SmallNet
from fsar_core.config import EpisodeBatches, EvalConfig, RunConfig, Training
from fsar_core.data.config import DataConfig
from fsar_core.data.resize import Resize
from fsar_core.matchers.otam import Otam
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.optimizer import OptimizerConfig
from fsar_core.stages.spatial_pool import SpatialPool
from search_spaces.table import Axis, Cell, Published, Table
from sweeps.engine.records import Environment, EvaluationRecord, Origin, Point, RunRecord, Store

TRAIN, OTHER = "aaaa1111bbbb2222", "cccc3333dddd4444"
PRINTS = {"motionshapes": TRAIN, "hmdb51": OTHER}
"""Fingerprints: cells are trained on the one, and tested on the same unless they name the other."""
START_MS = 1_700_000_000_000


ORIGIN = Origin(preset="smoke", git_commit="0123456789abcdef")


def run_config(lam: float = 0.1, shot: int = 1, seed: int = 0, steps: int = 600) -> RunConfig:
    """A small method; ``lam`` and ``shot`` make it one of many."""
    method = MethodConfig(
        backbone=SmallNet.Config(),
        steps=(Step(name="pool", stage=SpatialPool.Config()),),
        heads=(Head(matcher=Otam.Config(lam=lam), reads="pool"),),
    )
    return RunConfig(
        method=method,
        data=DataConfig(dataset="motionshapes", resize=Resize(mode="squeeze", size=64), crop=64),
        batches=EpisodeBatches(shot=shot),
        optimizer=OptimizerConfig(lr=0.001),
        training=Training(steps=steps, val_every=100),
        seed=seed,
    )


def cell(
    row: str, shot: int, lam: float, *, published: Published | None = None, episodes: int = 400, **settings: float | str
) -> Cell:
    return Cell(
        row=row,
        column=f"{shot}-shot",
        settings={**settings},
        run=run_config(lam, shot),
        evaluation=EvalConfig(shot=shot, queries=2, episodes=episodes),
        published=() if published is None else (published,),
    )


def ratio_table(*, printed_on: str = "Kinetics-100", episodes: int = 400) -> Table:
    """Two matchers over a mask ratio, a baseline without one, two columns; reference and printed values given."""
    source = "SGTM, table 3"
    cells: list[Cell] = []
    for shot in (1, 5):
        cells.append(cell("no mask", shot, 0.05, episodes=episodes, matcher="OTAM"))
        for g, group in enumerate(("OTAM", "BiMHM")):
            for r, ratio in enumerate((0.15, 0.3, 0.45, 0.6, 0.75)):
                printed = Published(
                    percent=round(40.0 + 20 * (shot == 5) + r - g, 2), dataset=printed_on, source=source
                )
                cells.append(
                    cell(
                        f"{group}, {ratio:.0%} masked",
                        shot,
                        1 + g + ratio,
                        published=printed,
                        episodes=episodes,
                        matcher=group,
                        ratio=ratio,
                    )
                )
    axis = Axis(x="ratio", x_label="share of masked frames", group="matcher")
    return Table(
        name="sgtm/table3",
        title="SGTM, table 3: which share of frames to mask",
        cells=tuple(cells),
        axis=axis,
        reference="no mask",
    )


def small_table(*, reference: str | None = "otam", printed_on: str = "Kinetics-100") -> Table:
    """Three rows, one column, no axis."""
    published = Published(percent=45.2, dataset=printed_on, source="STRM, table 2")
    rows = (("otam", 0.1), ("bimhm", 0.2), ("protonet", 0.3))
    cells = tuple(
        cell(name, 1, lam, published=published if name == "bimhm" else None, matcher=name) for name, lam in rows
    )
    return Table(name="strm/table2", title="STRM, table 2: matchers", cells=cells, reference=reference)


def train_record(run: RunConfig, points: int = 6) -> RunRecord:
    """As a finished training leaves it."""
    every = max(1, run.training.steps // points)
    history = tuple(
        Point(
            step=(i + 1) * every,
            time_ms=START_MS + 1000 * i,
            metrics={
                "train/loss": 1.6 / (i + 1),
                "val/accuracy": 0.5 - 0.3 / (i + 1),
                "val/ci95": 0.01,
                "train/lr": 0.001,
            },
        )
        for i in range(points)
    )
    return RunRecord(
        run=run,
        fingerprint=TRAIN,
        origin=ORIGIN,
        environment=Environment(host="node-1", device="cpu", versions={"torch": "2.15.0"}),
        started_ms=START_MS,
        ended_ms=START_MS + 1000 * points,
        train_seconds=float(points),
        resumed_at=(),
        history=history,
        best_step=history[-1].step,
        val_accuracy=0.45,
    )


def write_run(store: Store, run: RunConfig, points: int = 6) -> None:
    store.folder(run, TRAIN).write_record(train_record(run, points))


def write_evaluation(
    store: Store, run: RunConfig, evaluation: EvalConfig, level: float, *, noise: int = 0
) -> EvaluationRecord:
    """Outcomes of accuracy about ``level``. Episodes are hard or easy for everyone; ``noise`` is a run's own share."""
    queries = evaluation.way * evaluation.queries
    difficulty = np.random.default_rng(evaluation.seed + 7).normal(0, 0.08, evaluation.episodes)
    draws = np.random.default_rng(1000 + noise).binomial(queries, np.clip(level + difficulty, 0.02, 0.98))
    return write_outcomes(store, run, evaluation, draws)


def write_outcomes(store: Store, run: RunConfig, evaluation: EvalConfig, correct: np.ndarray) -> EvaluationRecord:
    """Exactly these numbers of correct queries."""
    accuracies = correct / (evaluation.way * evaluation.queries)
    record = EvaluationRecord(
        run_id=run.run_id(),
        evaluation=evaluation,
        fingerprint=PRINTS[evaluation.dataset or run.data.dataset],
        accuracy=float(accuracies.mean()),
        ci95=float(1.96 * accuracies.std(ddof=1) / np.sqrt(len(accuracies))),
        per_class={"spin": 0.5, "fall": 0.4},
        seconds=1.5,
        ended_ms=START_MS + 100_000,
        origin=ORIGIN,
    )
    store.folder(run, TRAIN).write_evaluation(evaluation.eval_id(run), record, correct)
    return record


def fill(store: Store, table: Table, seeds: tuple[int, ...] = (0, 1)) -> None:
    """Everything of a table done; later rows somewhat better, 5-shot much better."""
    for i, own in enumerate(table.cells):
        for seed in seeds:
            run = own.run.with_seed(seed)
            write_run(store, run)
            level = 0.42 + 0.004 * (i % 11) + 0.2 * (own.evaluation.shot > 1)
            write_evaluation(store, run, own.evaluation, level, noise=10 * i + seed)
