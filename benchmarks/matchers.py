"""Times matchers beside the loops of published code, both in one run, after checking that their logits agree.

  python benchmarks/matchers.py [names ...] [--threads 2] [--seconds 4] [--no-memory]     a minute or two a name

Name rows where an hour is too long: the loops of the spatial search take minutes for a backward pass.

Both works alternate, so that a busy machine slows both. Wall times are medians with ``--threads`` threads, CPU times
medians with one. Memory is the growth of a fresh process by one forward and backward pass. Look-ups are the evaluation
of 1,000 episodes by a table of pairs, beside the loops on every episode's clips.
"""

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import learned_references
import numpy as np
import references
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from fsar_core.backbones import SmallNet
from fsar_core.data.episodes import EpisodeList, fixed_episodes
from fsar_core.episode import Features, Shape
from fsar_core.evaluate import cached_logits
from fsar_core.matchers import (
    BiMhm,
    DropDtw,
    ExhaustiveSpatial,
    ExhaustiveTemporal,
    MatcherConfig,
    Otam,
    PairAlignment,
    ProtoNet,
    QueryClass,
    SetRelation,
    SoftDtw,
    Trx,
    Vava,
)
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.stages import SpatialPool

WAY, QUERIES, FRAMES, DIM, CELLS = 5, 25, 8, 2048, 7
CLIPS, EPISODES = 240, 1000
WIDTH = 10
Work = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A matcher and what computes the same in the published way, given the matcher where that has weights."""

    matcher: MatcherConfig
    reference: Callable[..., Tensor]
    learned: bool = False
    queries: int = QUERIES
    table: bool = False

    def build(self) -> tuple[nn.Module, Callable[[Features], Tensor], Callable[[Features], Tensor]]:
        """The matcher, and both ways to logits."""
        torch.manual_seed(0)
        level = self.matcher.reads
        built: Any = self.matcher.build(
            Shape(level=level, frames=FRAMES, dim=DIM, cells=CELLS if level == "map" else 1)
        )
        with torch.no_grad():
            for name, weights in built.named_parameters():
                if name.endswith("predictor.last.weight"):
                    weights.normal_()  # it starts at 0, where no frame is moved
        other = partial(self.reference, built) if self.learned else self.reference
        return built.eval(), lambda features: built(features).logits, other

    def episode(self, shot: int) -> Features:
        """Non-negative, like the output of a ReLU backbone."""
        generator = torch.Generator().manual_seed(0)
        tail = (FRAMES, DIM, CELLS, CELLS) if self.matcher.reads == "map" else (FRAMES, DIM)
        support = torch.rand((WAY, shot, *tail), generator=generator).requires_grad_()
        return Features(support=support, query=torch.rand((self.queries, *tail), generator=generator).requires_grad_())


ROWS: dict[str, Row] = {
    "OTAM": Row(matcher=Otam.Config(), reference=references.otam, table=True),
    "Bi-MHM": Row(matcher=BiMhm.Config(), reference=references.bimhm, table=True),
    "ProtoNet": Row(matcher=ProtoNet.Config(), reference=references.protonet, table=True),
    "TRX {2}": Row(matcher=Trx.Config(cardinalities=(2,)), reference=learned_references.trx, learned=True),
    "TRX {2,3}": Row(matcher=Trx.Config(), reference=learned_references.trx, learned=True),
    "HyRSM relation": Row(matcher=SetRelation.Config(), reference=learned_references.set_relation, learned=True),
    "STRM similarity {2}": Row(matcher=QueryClass.Config(), reference=learned_references.query_class, learned=True),
    "VIM alignment, 25 pairs": Row(
        matcher=PairAlignment.Config(), reference=learned_references.pair_alignment, learned=True, queries=5
    ),
    "Soft-DTW": Row(matcher=SoftDtw.Config(), reference=references.soft_dtw, table=True),
    "Drop-DTW": Row(matcher=DropDtw.Config(), reference=references.drop_dtw, table=True),
    "VAVA": Row(matcher=Vava.Config(), reference=references.vava, table=True),
    "exhaustive, temporal": Row(
        matcher=ExhaustiveTemporal.Config(), reference=references.exhaustive_temporal, table=True
    ),
    "exhaustive, spatial, 25 pairs": Row(
        matcher=ExhaustiveSpatial.Config(), reference=references.exhaustive_spatial, queries=5
    ),
}


def works(row: Row, shot: int, backward: bool) -> tuple[Work, Work]:
    """Ours and the loops."""
    built, *ways = row.build()
    features = row.episode(shot)
    leaves = [features.support, features.query, *built.parameters()]

    def gradients(logits: Callable[[Features], Tensor]) -> object:
        return torch.autograd.grad(logits(features).square().sum(), leaves, allow_unused=True)

    def values(logits: Callable[[Features], Tensor]) -> object:
        with torch.no_grad():
            return logits(features)

    ours, loops = (partial(gradients if backward else values, logits) for logits in ways)
    return ours, loops


def check(row: Row, shot: int) -> None:
    _, ours, loops = row.build()
    with torch.no_grad():
        features = row.episode(shot)
        torch.testing.assert_close(ours(features), loops(features), rtol=1e-3, atol=1e-3)


def milliseconds(work: Work, clock: Clock, times: int) -> float:
    """Of one call, from so many in a row."""
    start = clock()
    for _ in range(times):
        work()
    return (clock() - start) * 1e3 / times


def compare(both: Sequence[Work], clock: Clock, seconds: float) -> list[float]:
    """Medians of works done in turn for so long, five turns at least. In a turn a short work is repeated for 20 ms."""
    for work in both:
        work()
    repeats = [math.ceil(20 / milliseconds(work, time.perf_counter, 1)) for work in both]
    turns: list[list[float]] = []
    start = time.perf_counter()
    while len(turns) < 5 or time.perf_counter() - start < seconds:
        turns.append([milliseconds(work, clock, times) for work, times in zip(both, repeats, strict=True)])
    return [statistics.median(times) for times in zip(*turns, strict=True)]


def resident(field: str) -> float:
    """``VmRSS`` or ``VmHWM``, its peak, of this process in MiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def print_peak(name: str, shot: int, which: int) -> None:
    """Of a forward and backward pass, in a process of its own."""
    work = works(ROWS[name], shot, backward=True)[which]
    before = resident("VmRSS")
    work()
    print(resident("VmHWM") - before)


def peaks(name: str, shot: int) -> list[str]:
    found: list[str] = []
    for which in (0, 1):
        command = [sys.executable, __file__, name, "--peak-of", str(which), "--shot", str(shot)]
        found.append(f"{float(subprocess.run(command, check=True, capture_output=True, text=True).stdout):.0f}")
    return found


def time_row(name: str, shot: int, options: argparse.Namespace) -> Iterator[list[str]]:
    check(ROWS[name], shot)
    for what, backward in (("forward", False), ("forward + backward", True)):
        both = works(ROWS[name], shot, backward)
        torch.set_num_threads(options.threads)
        wall = compare(both, time.perf_counter, options.seconds)
        torch.set_num_threads(1)
        cpu = compare(both, time.process_time, options.seconds)
        memory = peaks(name, shot) if backward and not options.no_memory else []
        cells = [f"{value:.3g}" for value in (*wall, wall[1] / wall[0], *cpu, cpu[1] / cpu[0])]
        yield [name, str(shot), what, *cells, *memory]
    if ROWS[name].table:
        yield time_table(name, shot, options)


def episodes(shot: int) -> EpisodeList:
    """One query per class, over clips of 12 classes."""
    members = [np.arange(c, CLIPS, 12) for c in range(12)]
    return fixed_episodes(members, way=WAY, shot=shot, queries=1, count=EPISODES, seed=0, fingerprint="benchmark")


def time_table(name: str, shot: int, options: argparse.Namespace) -> list[str]:
    """All episodes by the table, computing it included, against each of a few by its own clips."""
    row, listed = ROWS[name], episodes(shot)
    config = MethodConfig(
        backbone=SmallNet.Config(channels=DIM // 8),
        steps=(Step(name="features", stage=SpatialPool.Config()),),
        heads=(Head(matcher=row.matcher, reads="features"),),
    )
    method = config.build(frames=FRAMES, crop=64, classes=1).eval()
    clips = torch.rand((CLIPS, FRAMES, DIM), generator=torch.Generator().manual_seed(0))
    few = replace(listed, support=listed.support[:10], query=listed.query[:10], classes=listed.classes[:10])

    def by_table() -> Tensor:
        return cached_logits(method, {"features": clips}, listed)

    @torch.no_grad()
    def by_clips() -> Tensor:
        pairs = zip(torch.from_numpy(few.support), torch.from_numpy(few.query), strict=True)
        return torch.stack([row.reference(Features(support=clips[s], query=clips[q])) for s, q in pairs])

    torch.testing.assert_close(by_table()[:10], by_clips(), rtol=1e-3, atol=1e-3)
    torch.set_num_threads(options.threads)
    ours, loops = compare((by_table, by_clips), time.perf_counter, options.seconds)
    ours, loops = ours / EPISODES, loops / 10
    return [name, str(shot), "look-ups", f"{ours:.3g}", f"{loops:.3g}", f"{loops / ours:.3g}"]


def line(cells: Sequence[str]) -> str:
    name, shot, what, *numbers = cells
    return f"{name:<30}{shot:>5}  {what:<18}" + "".join(f"{number:>{WIDTH}}" for number in numbers)


def report(names: Sequence[str], options: argparse.Namespace) -> None:
    """Prints every line as soon as it is measured."""
    console = Console(width=160, highlight=False, soft_wrap=True)
    console.print(f"{WAY}-way, {QUERIES} queries, {FRAMES} frames of {DIM} channels, {options.threads} threads")
    console.print(f"look-ups: of {EPISODES} episodes of {WAY} queries over {CLIPS} clips; all in ms per episode")
    timed = ["ours", "loops", "ratio"]
    console.print(
        line(["matcher", "shots", "what", *timed, *(f"CPU {kind}" for kind in timed), "MiB ours", "MiB loops"])
    )
    # A bar on the same terminal must know of the lines; where they go to a file it must not take them.
    shown = console if console.is_terminal else Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=shown, redirect_stdout=False) as progress:
        for name, shot in progress.track([(name, shot) for name in names for shot in (1, 5)]):
            for cells in time_row(name, shot, options):
                console.print(line(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="rows; all where none is named")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4, help="of each comparison")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--peak-of", type=int, choices=[0, 1], help=argparse.SUPPRESS)
    parser.add_argument("--shot", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    names: list[str] = options.names or list(ROWS)
    if unknown := set(names) - ROWS.keys():
        parser.error(f"no rows {sorted(unknown)}; there are {list(ROWS)}")
    if options.peak_of is None:
        report(names, options)
    else:
        print_peak(names[0], options.shot, options.peak_of)


if __name__ == "__main__":
    main()
