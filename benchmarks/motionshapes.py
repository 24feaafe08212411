"""Does MotionShapes tell methods apart? Trains each with the laptop preset, for benchmarks/motionshapes.md.

  python benchmarks/motionshapes.py        about 8 minutes on two cores; what is recorded in output is not trained again

"Within pairs" is 2-way 1-shot between a class and its reversal in time: a bag of frames is at 50 % there.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from fsar_core.checkpoint import drop_parts, latest_checkpoint, selected_weights
from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data import motionshapes
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.datasets import open_splits
from fsar_core.data.episodes import EpisodeList, draw_episodes
from fsar_core.evaluate import Evaluation, evaluate_episodes
from fsar_core.matchers import BiMhm, MatcherConfig, Otam, ProtoNet, TimeAveraged
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from fsar_core.seeds import generator
from fsar_core.stages import SpatialPool
from search_spaces.table import Cell, Table
from sweeps.engine.records import Store
from sweeps.engine.request import Request, prepare
from sweeps.engine.sweep import run_tables
from sweeps.engine.watch import Display

SEEDS = 3
PAIR_EPISODES = 2000


def plain(recipe: Recipe, matcher: MatcherConfig) -> RunConfig:
    """Backbone, pool and matcher alone."""
    head = Head(matcher=matcher, reads="pooled")
    return recipe.few_shot(
        MethodConfig(backbone=recipe.backbone, steps=(Step(name="pooled", stage=SpatialPool.Config()),), heads=(head,))
    )


def runs(recipe: Recipe) -> Mapping[str, RunConfig]:
    """By row."""
    return {
        "time-averaged": plain(recipe, TimeAveraged.Config()),
        "Bi-MHM": plain(recipe, BiMhm.Config()),
        "ProtoNet, frame-wise": plain(recipe, ProtoNet.Config()),
        "OTAM": plain(recipe, Otam.Config()),
        "transformer + OTAM": sgtm.run(recipe, sgtm.baseline(recipe.backbone)),
        "SGTM + OTAM": sgtm.run(recipe, sgtm.sgtm(recipe.backbone)),
        "SGTM + Bi-MHM": sgtm.run(recipe, sgtm.sgtm(recipe.backbone, matcher=BiMhm.Config())),
    }


def grid(recipe: Recipe) -> Table:
    """Every method, 1-shot and 5-shot."""
    cells = [
        Cell(row=row, column=f"{shot}-shot", settings={"method": row}, run=run, evaluation=EvalConfig(shot=shot))
        for row, run in runs(recipe).items()
        for shot in (1, 5)
    ]
    return Table(
        name="benchmarks/motionshapes",
        title="MotionShapes, laptop preset",
        cells=tuple(cells),
        reference="time-averaged",
    )


def within_pairs(source: ClipSource, number: int) -> EpisodeList:
    """2-way 1-shot episodes between a test class and its partner."""
    label = source.labels[number]
    both = [source.members[number], source.members[source.labels.index(motionshapes.partner(label))]]
    return draw_episodes(both, way=2, shot=1, queries=1, rng=generator(0, "pairs", number), count=PAIR_EPISODES)


def pair_accuracies(run: RunConfig, checkpoints: Path, test: ClipSource) -> dict[str, float]:
    """Accuracy within each pair of test classes, by the pair's first class."""
    method = run.method.for_test().build(frames=run.data.frames, crop=run.data.crop, classes=2)
    checkpoint = latest_checkpoint(checkpoints)
    assert checkpoint is not None
    method.load_state_dict(drop_parts(selected_weights(checkpoint), keep=method))
    measured: dict[str, Evaluation] = {}
    for number, label in enumerate(test.labels):
        if label < motionshapes.partner(label):
            episodes = within_pairs(test, number)
            measured[label] = evaluate_episodes(method, test, episodes, torch.device("cpu"))
    return {label: result.accuracy for label, result in measured.items()}


def print_pairs(console: Console) -> None:
    """A row per method, a column per pair, means over seeds; last the mean over pairs with its sd over seeds."""
    prepared = prepare(Request(seeds=SEEDS), Display(console))
    site, store = prepared.site, Store(prepared.site.storage)
    recipe = prepared.recipe_of("motionshapes")
    test = open_splits(site.place("motionshapes"), recipe.data, prepared.indices["motionshapes"])["test"]
    first = True
    for row, run in runs(recipe).items():
        own = [
            pair_accuracies(run, store.folder(run.with_seed(seed), test.fingerprint).checkpoints, test)
            for seed in prepared.seeds
        ]
        if first:
            console.print("| method | " + " | ".join(own[0]) + " | mean (sd) |\n|" + " --- |" * (len(own[0]) + 2))
            first = False
        means = np.array([list(seed.values()) for seed in own])
        over_seeds = means.mean(1)
        texts = [f"{100 * value:.1f}" for value in means.mean(0)]
        console.print(
            f"| {row} | {' | '.join(texts)} | {100 * over_seeds.mean():.1f} ({100 * over_seeds.std(ddof=1):.1f}) |",
            highlight=False,
        )


if __name__ == "__main__":
    out = Console(width=200, soft_wrap=True)
    run_tables(Request(seeds=SEEDS), lambda recipe_of: [grid(recipe_of("motionshapes"))], out)
    print_pairs(out)
