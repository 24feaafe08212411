"""Cached evaluation against the plain way: each episode's videos through the whole method, as published code does.

  python benchmarks/evaluation.py [motionshapes] [large] [matching]          about 5 minutes

Three tables, each from one run in which both ways alternate, logits compared first (the largest difference of any logit
stands beside the standard deviation of the logits). All times are CPU times with one thread, so that other work on the
machine counts little:
  motionshapes  its test clips with the laptop preset's nets: plain on few episodes, cached on all 10,000, embedding
                included
  large         a test split of HMDB51's size, 1,292 videos of 8 frames with 224 pixels, made up, with ResNets. Nobody
                waits for all of it here: plain is timed on one episode, embedding on ten videos, and both multiplied.
                Matching is timed on all 10,000 episodes, on a table of random features of the real size
  matching      OTAM alone on 1,300 videos of 8 frames with 2048 channels
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from fsar_core.backbones import ResNet, SmallNet
from fsar_core.config import EvalConfig
from fsar_core.data.clip_index import Clip, ClipIndex
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.datasets import open_splits
from fsar_core.data.episodes import EpisodeList
from fsar_core.data.resize import Resize
from fsar_core.data.stored_clip import RawClip, StoredClip
from fsar_core.embedding import embed_clips
from fsar_core.evaluate import cached_logits, episodes_of, evaluate, plain_logits
from fsar_core.matchers import BiMhm, MatcherConfig, Otam
from fsar_core.method import Head, Method, MethodConfig, Step
from fsar_core.methods import sgtm
from fsar_core.stages import SpatialPool
from sweeps.engine.request import Request, prepare
from sweeps.engine.watch import Display

ROUNDS = 5
PLAIN_EPISODES = 20
CPU = torch.device("cpu")
SHOTS = (1, 5)
HMDB51 = 1292
"""Test videos of the usual split."""
EMBEDDED = 10
"""Videos that are embedded at a time in the second table."""
RESNETS = ((ResNet.Config(depth=18, weights="none"), 2), (ResNet.Config(depth=50, weights="none"), 1))
"""Backbones of the second table, with rounds."""


@dataclass(frozen=True)
class Apart:
    """How far both ways are apart."""

    largest: float
    spread: float
    """Standard deviation of the logits."""

    def __str__(self) -> str:
        return f"{self.largest:.1e} ({self.spread:.1e})"


def seconds(began: float) -> float:
    return time.process_time() - began


def few(episodes: EpisodeList, count: int) -> EpisodeList:
    return replace(
        episodes,
        classes=episodes.classes[:count],
        support=episodes.support[:count],
        query=episodes.query[:count],
    )


def difference(method: Method, test: ClipSource, some: EpisodeList) -> Apart:
    """Of the logits of some episodes."""
    used = np.unique(np.concatenate([some.support.ravel(), some.query.ravel()]))
    found = embed_clips(method, test, CPU, names=method.read_by_heads(), positions=used)
    features = {name: torch.zeros(len(test), *own.shape[1:]) for name, own in found.items()}
    for name, own in found.items():
        features[name][torch.from_numpy(used)] = own
    ours = cached_logits(method, features, some)
    theirs = torch.stack([plain_logits(method, test, some, i, CPU) for i in range(len(some))])
    return Apart(float((ours - theirs).abs().max()), float(theirs.std()))


def plain_seconds(method: Method, test: ClipSource, some: EpisodeList) -> float:
    """An episode."""
    began = time.process_time()
    for i in range(len(some)):
        plain_logits(method, test, some, i, CPU)
    return seconds(began) / len(some)


def compare(method: Method, test: ClipSource, config: EvalConfig) -> tuple[float, float, Apart]:
    """(plain ms per episode, cached ms per episode, difference of logits)."""
    some = few(episodes_of(test, config), PLAIN_EPISODES)
    apart = difference(method, test, some)
    plain: list[float] = []
    cached: list[float] = []
    for _ in range(ROUNDS):
        plain.append(1000 * plain_seconds(method, test, some))
        began = time.process_time()
        evaluate(method, test, config, CPU)
        cached.append(1000 * seconds(began) / config.episodes)
    return float(np.median(plain)), float(np.median(cached)), apart


def motionshapes(console: Console) -> Table:
    """The table of MotionShapes."""
    prepared = prepare(Request(), Display(console))
    recipe = prepared.recipe_of("motionshapes")
    test = open_splits(prepared.site.place("motionshapes"), recipe.data, prepared.indices["motionshapes"])["test"]
    heads = (
        "method",
        "shot",
        "plain ms/episode",
        "cached ms/episode",
        "ratio",
        "10,000 episodes",
        "difference (sd)",
    )
    table = Table(*heads, title=f"MotionShapes, {len(test)} test clips")
    for name, matcher in {"SGTM + OTAM": Otam.Config(), "SGTM + Bi-MHM": BiMhm.Config()}.items():
        config = sgtm.sgtm(recipe.backbone, matcher=matcher).for_test()
        method = config.build(frames=recipe.data.frames, crop=recipe.data.crop, classes=24).eval()
        for shot in SHOTS:
            plain, cached, apart = compare(method, test, EvalConfig(shot=shot))
            row = (f"{plain:.2f}", f"{cached:.4f}", f"{plain / cached:.0f}x", f"{10 * cached:.1f} s", str(apart))
            table.add_row(name, str(shot), *row)
    return table


class RandomFrames:
    """Clips of random large cells, so that even a net of random weights tells them apart; made when asked for."""

    def clip(self, clip_name: str) -> StoredClip:
        rng = np.random.default_rng(int(clip_name.split("/")[1]))
        cells = rng.integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
        pixels: NDArray[np.uint8] = cells.repeat(56, axis=1).repeat(56, axis=2)
        return RawClip(np.arange(8, dtype=np.int32), pixels)


def split_of(videos: int, classes: int = 10) -> ClipSource:
    """As many test videos as HMDB51 has, in as many classes."""
    data = DataConfig(dataset="random", resize=Resize(mode="squeeze", size=224), crop=224)
    made = [
        Clip(f"{i % classes}/{i}", f"{i % classes}", "test", Path("none"), 8, f"{i}", 224, 224, 25.0)
        for i in range(videos)
    ]
    return ClipSource(ClipIndex.of_clips("random", made), "test", RandomFrames(), data)


def method_of(backbone: ResNet.Config | SmallNet.Config, matcher: MatcherConfig, crop: int = 224) -> Method:
    torch.manual_seed(0)
    config = MethodConfig(
        backbone=backbone,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(Head(matcher=matcher, reads="pooled"),),
    )
    return config.build(frames=8, crop=crop, classes=31).eval()


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the second table is made of, in seconds."""

    plain: dict[int, float]
    """An episode, by shot."""
    embed: float
    """A video."""
    match: dict[int, float]
    """10,000 episodes, by shot."""
    apart: Apart


def parts_of(method: Method, test: ClipSource, rounds: int) -> Parts:
    """Medians over the rounds; both ways alternate."""
    listed = {shot: episodes_of(test, EvalConfig(shot=shot)) for shot in SHOTS}
    apart = difference(method, test, few(listed[1], 1))
    plain: dict[int, list[float]] = {shot: [] for shot in SHOTS}
    match: dict[int, list[float]] = {shot: [] for shot in SHOTS}
    embed: list[float] = []
    dim = method.wiring.shapes["pooled"].dim
    table = {"pooled": torch.rand((len(test), 8, dim), generator=torch.Generator().manual_seed(0))}
    for i in range(rounds):
        for shot in SHOTS:
            plain[shot].append(plain_seconds(method, test, few(listed[shot], 1)))
            began = time.process_time()
            chosen = (np.arange(EMBEDDED) + i * EMBEDDED) % len(test)
            embed_clips(method, test, CPU, names=("pooled",), positions=chosen)
            embed.append(seconds(began) / EMBEDDED)
            match[shot].append(matching_seconds(method, table, listed[shot]))
    medians = ({shot: float(np.median(own)) for shot, own in times.items()} for times in (plain, match))
    return Parts(plain=next(medians), match=next(medians), embed=float(np.median(embed)), apart=apart)


def matching_seconds(method: Method, table: dict[str, Tensor], episodes: EpisodeList) -> float:
    began = time.process_time()
    cached_logits(method, table, episodes)
    return seconds(began)


def large(console: Console) -> Table:
    """The table of a real test split's size."""
    heads = ("backbone", "shot", "plain s/episode", "embed s/video", "match 10,000", "plain 10,000", "cached 10,000")
    table = Table(*heads, "ratio", "difference (sd)", title=f"{HMDB51} videos of 8 frames, 224 pixels, OTAM, scaled")
    test = split_of(HMDB51)
    for backbone, rounds in RESNETS:
        parts = parts_of(method_of(backbone, Otam.Config()), test, rounds)
        for shot in SHOTS:
            plain, cached = 10_000 * parts.plain[shot], HMDB51 * parts.embed + parts.match[shot]
            row = (
                f"{parts.plain[shot]:.2f}",
                f"{parts.embed:.3f}",
                f"{parts.match[shot]:.1f} s",
                f"{plain / 3600:.1f} h",
                f"{cached / 60:.1f} min",
                f"{plain / cached:.0f}x",
                str(parts.apart),
            )
            table.add_row(backbone.label(), str(shot), *row)
        console.print(f"{backbone.label()} is measured")
    return table


def matching(_: Console) -> Table:
    """The table of look-ups alone."""
    test = split_of(1300)
    method = method_of(SmallNet.Config(channels=256), Otam.Config(), crop=64)
    dim = method.wiring.shapes["pooled"].dim
    table = {"pooled": torch.rand((len(test), 8, dim), generator=torch.Generator().manual_seed(0))}
    shown = Table("shot", "10,000 episodes", title=f"OTAM, 1,300 videos, 8 x {dim} features")
    for shot in SHOTS:
        episodes = episodes_of(test, EvalConfig(shot=shot))
        times = [matching_seconds(method, table, episodes) for _ in range(3)]
        shown.add_row(str(shot), f"{np.median(times):.1f} s")
    return shown


TABLES = {"motionshapes": motionshapes, "large": large, "matching": matching}


def main() -> None:
    """Prints the tables of benchmarks/README.md."""
    console = Console(width=150)
    torch.set_num_threads(1)
    chosen = sys.argv[1:] or list(TABLES)
    if unknown := set(chosen) - TABLES.keys():
        sys.exit(f"no tables {sorted(unknown)}; there are {list(TABLES)}")
    for table in [TABLES[name](console) for name in chosen]:
        console.print(table)
    console.print(f"CPU time, {torch.get_num_threads()} thread, torch {torch.__version__}")


if __name__ == "__main__":
    main()
