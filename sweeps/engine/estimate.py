"""How long a plan will take: from recorded runs that do the same work, else from a short probe on this machine."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from fsar_core.config import RunConfig
from fsar_core.episode import Clips, Episode
from fsar_core.frozen import content_id
from fsar_core.method import Method
from sweeps.engine.plan import Plan
from sweeps.engine.site import Site

_PROBE_CLASSES = 8
_PROBE_CLIPS = 8


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
    """Seconds per optimiser step: one forward and backward pass of a few random clips, scaled to the run's batches."""
    torch.set_num_threads(max(1, int(site.cpus_per_run)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=_PROBE_CLASSES).to(device).train()
    clips, share = _random_clips(run, device)
    seconds = min(_timed(method, clips) for _ in range(2))
    passes = run.batches.per_step if run.batches.kind == "episodes" else 1
    return seconds * passes / share


def _timed(method: Method, clips: Clips) -> float:
    began = time.perf_counter()
    method(clips).total.backward()
    if clips.videos.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _random_clips(run: RunConfig, device: torch.device) -> tuple[Clips, float]:
    """Clips, and their share of the videos of one batch."""
    batches = run.batches
    supports = batches.way * batches.shot if batches.kind == "episodes" else 0
    queries = batches.way if batches.kind == "episodes" else min(_PROBE_CLIPS, batches.size)
    count = supports + queries
    videos = torch.rand(count, run.data.frames, 3, run.data.crop, run.data.crop, device=device)
    ids = torch.arange(count, device=device) % _PROBE_CLASSES
    masks = has_mask = None
    if run.method.needs_masks():
        masks = torch.zeros((count, run.data.frames, run.data.crop, run.data.crop), dtype=torch.uint8, device=device)
        has_mask = torch.ones((count, run.data.frames), dtype=torch.bool, device=device)
    clips = Clips(videos=videos, class_ids=ids, masks=masks, has_mask=has_mask)
    if batches.kind == "clips":
        return clips, count / batches.size
    labels = torch.arange(batches.way, device=device)
    episode = Episode(**vars(clips), way=batches.way, shot=batches.shot, query_labels=labels)
    return episode, count / (batches.way * (batches.shot + batches.queries))


def _work(run: RunConfig) -> str:
    """Equal for runs whose steps cost the same."""
    parts: Iterable[str] = (m.canonical_json() for m in (run.method, run.data, run.batches))
    return content_id(*parts)
