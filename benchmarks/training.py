"""Times training steps beside the plain loop of published code, after checking that their losses agree.

  python benchmarks/training.py                          ResNet-18, small episodes: about 2 minutes on two cores
  python benchmarks/training.py --protocol published     every method, ResNet-50, 224 pixels, 5-way: needs a GPU

Plain: one episode after the other, drawn, made floating and normalised when it is needed, float32, channels first, all
kept for gradients, the loss read after every episode. For OTAM it is written out here, with torchvision's network and
the loops of ``references.py``; for other methods the loop is plain and the parts are the project's. Ours: ``train``.
All alternate in one run; seconds are medians. Memory is the peak of a step in a process of its own, on a GPU what
tensors take, else the growth of the process.
"""

import argparse
import math
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import references
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model

from fsar_core.backbones import ResNet
from fsar_core.backbones.trunk import Trunk
from fsar_core.batches import EpisodeStream
from fsar_core.config import EpisodeBatches, RunConfig
from fsar_core.data.clip_index import Clip, ClipIndex
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.folder_scan import Split
from fsar_core.data.resize import Resize
from fsar_core.data.stored_clip import RawClip, StoredClip
from fsar_core.episode import Episode, Features
from fsar_core.execution import Execution
from fsar_core.methods import all_methods
from fsar_core.methods.frame_matching import otam
from fsar_core.presets import clean
from fsar_core.seeds import derived_seed
from fsar_core.train import Progress, TrainState, train

CLASSES, PER_CLASS, STORED = 8, 12, 24
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
WAYS: dict[str, Execution | None] = {
    "plain": None,
    "ours": Execution(device=DEVICE, recompute="never"),
    "ours, recomputing": Execution(device=DEVICE, recompute="always"),
    "ours, bf16": Execution(device=DEVICE, precision="bf16", recompute="never"),
    "ours, bf16, recomputing": Execution(device=DEVICE, precision="bf16", recompute="always"),
}


class Frames:
    """Noise for every clip, the same each time."""

    def __init__(self, size: int) -> None:
        drawn = np.random.default_rng(0)
        self._frames = drawn.integers(0, 256, (STORED, size, size, 3), dtype=np.uint8)

    def clip(self, clip_name: str) -> StoredClip:
        return RawClip(np.arange(STORED, dtype=np.int32), self._frames)


class PlainOtam(nn.Module):
    """As published code has it: torchvision's network, its frames pooled, a loop over the cells of each table."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        network = get_model(f"resnet{depth}", weights=None)
        self.features = nn.Sequential(*list(network.children())[:-1])

    def forward(self, episode: Episode) -> Tensor:
        supports = episode.way * episode.shot
        support, query = (
            self.features(part.flatten(0, 1)).flatten(1).unflatten(0, part.shape[:2])
            for part in (episode.videos[:supports], episode.videos[supports:])
        )
        return references.otam(Features(support=support.unflatten(0, (episode.way, episode.shot)), query=query))


def run_of(method: str, published: bool) -> RunConfig:
    """One with a batch of few clips, or as the clean preset trains, but for episodes a step."""
    recipe = clean("ssv2_full")
    found = all_methods()[method]
    if published:
        run = found.run(recipe, next(iter(found.variants.values()))(recipe.backbone))
        assert isinstance(run.batches, EpisodeBatches)
        return run.model_copy(update={"batches": run.batches.model_copy(update={"per_step": 2}), "needs": ()})
    small = {"resize": Resize(mode="squeeze", size=128), "crop": 112}
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=small)})
    run = found.run(recipe, next(iter(found.variants.values()))(ResNet.Config(depth=18, weights="none")))
    batches = EpisodeBatches(way=3, shot=1, queries=1, per_step=2)
    return run.model_copy(update={"batches": batches})


def source(run: RunConfig, split: Split) -> ClipSource:
    size = run.data.resize.size
    clips = [
        Clip(f"{label}/{i}", f"{label}", split, Path("none"), STORED, f"{i}", size, size, 12.0)
        for label in range(CLASSES)
        for i in range(PER_CLASS)
    ]
    return ClipSource(ClipIndex.of_clips("noise", clips), split, Frames(size), run.data)


def started(run: RunConfig) -> TrainState:
    """With random weights."""
    backbone = run.method.backbone.model_copy(update={"weights": "none"})
    method = run.method.model_copy(update={"backbone": backbone})
    return TrainState.start(run.model_copy(update={"method": method}), CLASSES, Execution(device=DEVICE), {})


class Enough(Exception):  # noqa: N818 - not an error
    """Ends a training after the steps that are timed."""


def ours(run: RunConfig, execution: Execution, steps: int) -> tuple[list[float], float]:
    """Seconds of every step but the first, and the loss of the first."""
    times, losses = list[float](), list[float]()

    def report(progress: Progress, _: TrainState) -> None:
        times.append(now())
        losses.append(sum(progress.losses.values()))
        if progress.step > steps:
            raise Enough

    endless = run.training.model_copy(update={"steps": 1 << 30, "val_every": 1 << 30})
    state = started(run.model_copy(update={"training": endless}))
    with suppress(Enough):
        train(state, source(run, "train"), source(run, run.selection.on), execution, report)
    return intervals(times), losses[0]


def plain(run: RunConfig, steps: int) -> tuple[list[float], float]:
    """As ``ours``."""
    state = started(run)
    method, backbone = state.method.train(), run.method.backbone
    written = isinstance(backbone, ResNet.Config) and run.method == otam(backbone)
    work = PlainOtam(backbone.depth).to(DEVICE) if written and isinstance(backbone, ResNet.Config) else method
    if isinstance(work, PlainOtam):
        given = method.backbone.trunk.layers.state_dict()
        work.features.load_state_dict(dict(zip(work.features.state_dict(), given.values(), strict=True)))
    for module in work.modules():
        if isinstance(module, Trunk):  # channels first
            module.layout = torch.contiguous_format
            module.to(memory_format=torch.contiguous_format)
    stream = EpisodeStream(run, source(run, "train"), source(run, run.selection.on), DEVICE)
    optimizer = torch.optim.Adam(work.parameters(), lr=run.optimizer.lr)
    method.at_step(1, run.training.steps)
    times, losses = list[float](), list[float]()
    for step in range(1, steps + 2):
        losses.append(plain_step(run, work, stream, step, optimizer))
        times.append(now())
    return intervals(times), losses[0]


def plain_step(
    run: RunConfig, work: nn.Module, stream: EpisodeStream, step: int, optimizer: torch.optim.Optimizer
) -> float:
    mean, std = (torch.tensor(own).view(3, 1, 1) for own in (run.data.normalisation.mean, run.data.normalisation.std))
    assert isinstance(run.batches, EpisodeBatches)
    read = 0.0
    for i, drawn in enumerate(stream.drawn(step)):
        episode = replace(drawn, videos=(drawn.videos.float() / 255 - mean) / std).to(DEVICE)
        torch.manual_seed(derived_seed(run.seed, "training pass", step, i))
        if isinstance(work, PlainOtam):
            loss = F.cross_entropy(work(episode), episode.query_labels)
            total = loss
        else:
            output = work(episode)
            total, loss = output.total, torch.stack([own.detach().float() for own in output.losses.values()]).sum()
        read += loss.item() / run.batches.per_step
        (total / run.batches.per_step).backward()
    optimizer.step()
    optimizer.zero_grad()
    return read


def now() -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def intervals(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def work(way: str, run: RunConfig, steps: int) -> tuple[list[float], float]:
    execution = WAYS[way]
    return plain(run, steps) if execution is None else ours(run, execution, steps)


def check(run: RunConfig) -> None:
    """Both start from the same weights and see the same first step."""
    _, theirs = plain(run, 0)
    _, mine = work("ours", run, 0)
    _, again = work("ours, recomputing", run, 0)
    if not (math.isclose(mine, theirs, rel_tol=2e-3) and math.isclose(mine, again, rel_tol=1e-4)):
        raise SystemExit(f"losses of the first step differ: plain {theirs}, ours {mine}, recomputing {again}")


def resident(field: str) -> float:
    """``VmRSS`` or ``VmHWM``, its peak, of this process in GiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / (1 << 20) for line in lines if line.startswith(f"{field}:"))


def print_peak(way: str, run: RunConfig) -> None:
    """Of two steps, in a process of its own."""
    before = resident("VmRSS")
    work(way, run, 1)
    print(torch.cuda.max_memory_allocated() / (1 << 30) if DEVICE.type == "cuda" else resident("VmHWM") - before)


def peak(way: str, method: str, options: argparse.Namespace) -> str:
    command = [sys.executable, __file__, method, "--protocol", options.protocol, "--threads", str(options.threads)]
    done = subprocess.run([*command, "--peak-of", way], capture_output=True, text=True)
    if done.returncode:
        return "out of memory" if "out of memory" in done.stderr.lower() else "failed"
    return f"{float(done.stdout.split()[-1]):.2f}"


def rows(method: str, options: argparse.Namespace) -> list[list[str]]:
    run = run_of(method, published=options.protocol == "published")
    check(run)
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            taken[way] += work(way, run, options.steps)[0]
    seconds = {way: statistics.median(own) for way, own in taken.items()}
    return [
        [method, way, f"{1 / own:.3g}", f"{seconds['plain'] / own:.2f}", peak(way, method, options)]
        for way, own in seconds.items()
    ]


def main() -> None:
    """Prints the table of benchmarks/README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="by default frame_matching, for the published protocol all")
    parser.add_argument("--protocol", choices=["small", "published"], default="small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="timed in a row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak-of", choices=list(WAYS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.protocol == "published" and DEVICE.type == "cpu":
        parser.error("the published protocol takes minutes a step without a GPU; leave --protocol out")
    methods: list[str] = options.methods or (
        list(all_methods()) if options.protocol == "published" else ["frame_matching"]
    )
    if options.peak_of is not None:
        print_peak(options.peak_of, run_of(methods[0], published=options.protocol == "published"))
        return
    table = Table("method", "way", "steps/s", "times plain", "peak, GiB")
    for method in track(methods, console=Console(stderr=True)):
        for cells in rows(method, options):
            table.add_row(*cells)
    console = Console(width=100)
    console.print(table)
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"a CPU, {options.threads} threads"
    console.print(f"{name}, torch {torch.__version__}, {options.protocol} protocol, 2 episodes a step")


if __name__ == "__main__":
    main()
