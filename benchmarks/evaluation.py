"""Cached evaluation against the plain way: each episode's videos through the whole method, as published code does.

  python benchmarks/evaluation.py          about 2 minutes on two cores, one thread

Both ways alternate in one run on the test clips of MotionShapes with the laptop preset's nets; logits are compared
first. The plain way is timed on few episodes, the cached way on all 10,000, embedding included.
"""

import time
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from fsar_core.config import EvalConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.datasets import open_splits
from fsar_core.data.episodes import EpisodeList, fixed_episodes
from fsar_core.embedding import embed_clips
from fsar_core.evaluate import cached_logits, evaluate, plain_logits
from fsar_core.matchers import BiMhm, Otam
from fsar_core.method import Method
from fsar_core.methods import sgtm
from sweeps.engine.request import Request, prepare
from sweeps.engine.watch import Display

ROUNDS = 5
PLAIN_EPISODES = 20
CPU = torch.device("cpu")


def compare(method: Method, test: ClipSource, config: EvalConfig) -> tuple[float, float, float]:
    """(plain ms per episode, cached ms per episode, largest difference of logits)."""
    episodes = fixed_episodes(
        test.members,
        way=config.way,
        shot=config.shot,
        queries=config.queries,
        count=config.episodes,
        seed=config.seed,
        fingerprint=test.fingerprint,
    )
    few = replace(
        episodes,
        classes=episodes.classes[:PLAIN_EPISODES],
        support=episodes.support[:PLAIN_EPISODES],
        query=episodes.query[:PLAIN_EPISODES],
    )
    difference = _difference(method, test, few)
    plain, cached = [], []
    for _ in range(ROUNDS):
        plain.append(_plain_ms(method, test, few))
        began = time.perf_counter()
        evaluate(method, test, config, CPU)
        cached.append(1000 * (time.perf_counter() - began) / config.episodes)
    return float(np.median(plain)), float(np.median(cached)), difference


def _difference(method: Method, test: ClipSource, few: EpisodeList) -> float:
    features = embed_clips(method, test, CPU, names=method.read_by_heads())
    ours = cached_logits(method, features, few)
    theirs = torch.stack([plain_logits(method, test, few, i, CPU) for i in range(len(few))])
    return float((ours - theirs).abs().max())


def _plain_ms(method: Method, test: ClipSource, few: EpisodeList) -> float:
    began = time.perf_counter()
    for i in range(len(few)):
        plain_logits(method, test, few, i, CPU)
    return 1000 * (time.perf_counter() - began) / len(few)


def main() -> None:
    """Prints the table of benchmarks/README.md."""
    torch.set_num_threads(1)
    console = Console(width=120)
    prepared = prepare(Request(), Display(console))
    recipe = prepared.recipe
    test = open_splits(prepared.site.place("motionshapes"), recipe.data, prepared.index)["test"]
    table = Table(
        "method", "shot", "plain ms/episode", "cached ms/episode", "ratio", "10,000 episodes", "largest difference"
    )
    for name, matcher in {"SGTM + OTAM": Otam.Config(), "SGTM + Bi-MHM": BiMhm.Config()}.items():
        config = sgtm.sgtm(recipe.backbone, matcher=matcher).for_test()
        method = config.build(frames=recipe.data.frames, crop=recipe.data.crop, classes=24).eval()
        for shot in (1, 5):
            plain, cached, difference = compare(method, test, EvalConfig(shot=shot))
            row = (
                f"{plain:.2f}",
                f"{cached:.4f}",
                f"{plain / cached:.0f}x",
                f"{10 * cached:.1f} s",
                f"{difference:.1e}",
            )
            table.add_row(name, str(shot), *row)
    console.print(table)
    console.print(f"{len(test)} test clips, {torch.get_num_threads()} thread, torch {torch.__version__}")


if __name__ == "__main__":
    main()
