"""A training step measured on this machine, on noise: what it takes before any training is started."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from fsar_core.config import RunConfig
from fsar_core.episode import Clips
from fsar_core.fitting import fit
from fsar_core.given import given_step
from fsar_core.method import Method
from fsar_core.precision import Precision
from fsar_core.trial import random_clips, trial_pass
from sweeps.engine.site import Site
from sweeps.engine.work import clips_per_batch

_PROBE_CLASSES = 8
_PROBE_PIXELS = 2_000_000
"""Of a batch on a CPU: 40 frames of 224 pixels a side."""


def probe(run: RunConfig, site: Site) -> float:
    """Seconds per optimiser step on this machine."""
    return probe_step(run, site).seconds


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A step as it was measured, on noise: no clip is read or augmented."""

    seconds: float
    """Of an optimiser step with all its batches, scaled from the clips that were measured."""
    clips: int
    """Of a batch, measured."""
    of: int
    """Clips of a batch of the run."""
    device: str
    recomputed: bool
    """Whether backbones computed again what they had not kept."""
    peak_bytes: int
    """Of the measured clips: on a GPU the most that tensors took, on a CPU by how much the process grew, where Linux
    tells it, else 0."""


def probe_step(run: RunConfig, site: Site) -> Probed:
    """Forward and backward of one batch twice, and an update of the weights. On a GPU the whole batch is measured, on a
    CPU fewer clips of it where they have many pixels. ``peak_bytes`` on a CPU needs a fresh process."""
    torch.set_num_threads(max(1, int(site.cpus_per_run)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    execution = site.execution(device)
    begun = _held_bytes(device)
    method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=_PROBE_CLASSES).to(device)
    whole = device.type == "cuda" or given_step(run) is not None
    measured = run if whole else _smaller(run)
    recomputed = fit(method, run, execution, classes=_PROBE_CLASSES)
    clips, optimizer = random_clips(measured, method, _PROBE_CLASSES, device), run.optimizer.build(method)
    passes = run.batches.per_step if run.batches.kind == "episodes" else 1
    first = _timed(method, clips, execution.precision)
    update = _timed_update(optimizer, device)
    second = _timed(method, clips, execution.precision)
    count, total = len(clips.videos), clips_per_batch(run)
    return Probed(
        seconds=min(first, second) * passes * total / count + update,
        clips=count,
        of=total,
        device=torch.cuda.get_device_name() if device.type == "cuda" else f"a CPU, {torch.get_num_threads()} threads",
        recomputed=recomputed,
        peak_bytes=_peak_bytes(device) - begun,
    )


def _timed(method: Method, clips: Clips, precision: Precision) -> float:
    began = time.perf_counter()
    trial_pass(method, clips, precision)
    if clips.videos.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _timed_update(optimizer: torch.optim.Optimizer, device: torch.device) -> float:
    """Its state is made outside of the time."""
    optimizer.step()
    began = time.perf_counter()
    optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _smaller(run: RunConfig) -> RunConfig:
    """With batches of fewer clips, where they have too many pixels to wait for."""
    most = max(1, _PROBE_PIXELS // (run.data.frames * run.data.crop**2))
    batches = run.batches
    if batches.kind == "clips":
        return run.model_copy(update={"batches": batches.model_copy(update={"size": min(most, batches.size)})})
    for smaller in ({}, {"queries": 1}, {"shot": 1}, {"way": 2}):
        batches = batches.model_copy(update=smaller)
        if batches.way * (batches.shot + batches.queries) <= most:
            break
    return run.model_copy(update={"batches": batches})


def _held_bytes(device: torch.device) -> int:
    """By tensors on a GPU, else by this process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    return _resident("VmRSS")


def _peak_bytes(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident("VmHWM")


def _resident(field: str) -> int:
    """As Linux tells it; 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:")), 0)
