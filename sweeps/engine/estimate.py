"""How long a plan will take: from recorded runs that do the same work, else from a short probe on this machine."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from fsar_core.batches import given_step
from fsar_core.config import RunConfig
from fsar_core.episode import Clips
from fsar_core.fitting import fit
from fsar_core.frozen import content_id
from fsar_core.method import Method
from fsar_core.precision import Precision
from fsar_core.trial import random_clips, trial_pass
from sweeps.engine.plan import Plan
from sweeps.engine.site import Site

_PROBE_CLASSES = 8
_PROBE_PIXELS = 2_000_000
"""Of a batch on a CPU: 40 frames of 224 pixels a side."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Training only; reading features and matching episodes come on top and are small beside it."""

    run_seconds: float
    """Summed over the runs that are not done."""
    wall_seconds: float
    """With as many runs at a time as the site allows; at least the longest chain of runs that need each other."""
    probed: int
    """Kinds of work that were measured now; the others are known from the record."""


def estimate(plan: Plan, site: Site) -> Estimate:
    """For what the plan lacks."""
    speeds = recorded(plan)
    seconds: dict[str, float] = {}
    chains: dict[str, float] = {}
    probed = 0
    for planned in plan.runs:
        work = _work(planned.run)
        if planned.steps_left and work not in speeds:
            speeds[work], probed = probe(planned.run, site), probed + 1
        seconds[planned.key] = planned.steps_left * speeds.get(work, 0.0)
        before = max((chains[need] for need in planned.needs), default=0.0)
        chains[planned.key] = before + seconds[planned.key]
    total = sum(seconds.values())
    wall = max(total / slots(site), max(chains.values(), default=0.0))
    return Estimate(run_seconds=total, wall_seconds=wall, probed=probed)


def slots(site: Site) -> int:
    """Runs at a time on this machine; on a cluster, at least that many."""
    by_cpu = (os.cpu_count() or 1) // site.cpus_per_run
    by_gpu = torch.cuda.device_count() // site.gpus_per_run if site.gpus_per_run else by_cpu
    return max(1, int(min(by_cpu, by_gpu)))


def recorded(plan: Plan) -> dict[str, float]:
    """Seconds per step by kind of work, from the plan's finished runs."""
    found: dict[str, list[float]] = defaultdict(list)
    for planned in plan.runs:
        record = planned.folder.record() if planned.trained else None
        if record is not None:
            found[_work(planned.run)].append(1 / record.steps_per_second())
    return {work: sum(values) / len(values) for work, values in found.items()}


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
    whole = device.type == "cuda" or given_step(run, method) is not None
    measured = run if whole else _smaller(run)
    recomputed = fit(method, run, execution, classes=_PROBE_CLASSES)
    clips, optimizer = random_clips(measured, method, _PROBE_CLASSES, device), run.optimizer.build(method)
    passes = run.batches.per_step if run.batches.kind == "episodes" else 1
    first = _timed(method, clips, execution.precision)
    update = _timed_update(optimizer, device)
    second = _timed(method, clips, execution.precision)
    count, total = len(clips.videos), _clips_of_batch(run)
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


def _clips_of_batch(run: RunConfig) -> int:
    batches = run.batches
    return batches.size if batches.kind == "clips" else batches.way * (batches.shot + batches.queries)


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


def _work(run: RunConfig) -> str:
    """Equal for runs whose steps cost the same."""
    parts: Iterable[str] = (m.canonical_json() for m in (run.method, run.data, run.batches))
    return content_id(*parts)
