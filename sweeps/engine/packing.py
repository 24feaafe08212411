"""Which part of a GPU each run asks for: what its counted memory needs, so that small runs share a card."""

from collections import Counter

import torch

from fsar_core.config import RunConfig
from fsar_core.data.processes import Progress, silent
from fsar_core.fitting import fits
from fsar_core.step_cost import step_cost
from sweeps.engine.plan import Plan
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.work import alike

MOST_A_CARD = 8
"""Runs that share a GPU; more would wait for each other's kernels."""
_UNITS = 10_000
"""Ray counts GPUs in ten-thousandths."""

_counted: dict[tuple[str, str], int] = {}
"""Bytes of a step, by kind of work and precision: counting takes seconds, and a plan or search has few kinds."""


def card_bytes(site: Site) -> int:
    """Memory of the smallest GPU. Raises BadRequest where neither the site nor this machine tells it."""
    if site.gpu_gib is not None:
        return int(site.gpu_gib * 2**30)
    count = torch.cuda.device_count()
    if not count:
        raise BadRequest(
            [
                "the site has runs share GPUs by their memory (gpus_per_run = 'auto'), but this machine has no GPU to "
                "ask for its memory: give gpu_gib, the GiB of the smallest one, or a number for gpus_per_run"
            ]
        )
    return min(torch.cuda.get_device_properties(i).total_memory for i in range(count))


def gpus_of(run: RunConfig, site: Site) -> float:
    """GPUs that a run asks for: as the site says, or where it packs, 1/n of a card that n such runs fit.

    A run that needs more than a card with everything kept gets a whole one, where it computes again.
    """
    if not site.pack_gpus:
        return site.gpus_per_run
    card, peak = card_bytes(site), _peak_bytes(run, site)
    at_once = next((n for n in range(MOST_A_CARD, 1, -1) if fits(peak, card // n)), 1)
    return min(site.gpus_per_run, _UNITS // at_once / _UNITS)  # rounded down, so that all n find room


def count_all(plan: Plan, site: Site, progress: Progress = silent) -> str:
    """Counts a step of each kind of unfinished work, and tells how the runs will share GPUs. Nothing is counted where
    the site does not pack. Raises BadRequest as ``card_bytes``."""
    if not site.pack_gpus:
        return ""
    kinds: dict[str, RunConfig] = {}
    for planned in plan.todo():
        kind = alike(planned.run)
        kinds[kind] = max(kinds.get(kind, planned.run), planned.run, key=_parts)
    for i, run in enumerate(kinds.values()):
        progress(i, len(kinds))
        _peak_bytes(run, site)
    progress(len(kinds), len(kinds))
    shares = Counter(gpus_of(planned.run, site) for planned in plan.todo())
    parts = (f"{count} at {share:.3g}" for share, count in sorted(shares.items()))
    return f"GPUs a run, by counted memory on {card_bytes(site) / 2**30:.3g} GiB: {', '.join(parts)}"


def _parts(run: RunConfig) -> int:
    """Beside the backbone: kinds do not tell these apart, so the run with most of them stands for its kind."""
    return len(run.method.steps) + len(run.method.heads) + len(run.method.losses)


def _peak_bytes(run: RunConfig, site: Site) -> int:
    kind = (alike(run), site.precision)
    if kind not in _counted:
        _counted[kind] = step_cost(run, precision=site.precision).peak_bytes
    return _counted[kind]
