"""What a search weighs against accuracy, as a number per run."""

from collections.abc import Callable

import torch

from fsar_core.config import RunConfig
from fsar_core.cost import measure, parameters_in_tests
from fsar_core.latency import latency_ms
from search_spaces.space import Cost
from sweeps.engine.site import Site

_LABELS: dict[Cost, tuple[str, str]] = {
    "gflops": ("operations of a 5-way 1-shot test episode", "GFLOP"),
    "parameters": ("parameters in tests", "million"),
    "latency": ("time of a 5-way 1-shot test episode", "ms"),
}


def cost_function(cost: Cost, site: Site) -> Callable[[RunConfig], float]:
    """In the unit of ``cost_label``; runs whose tests are the same computation get the same number.

    Latency is measured by the process that asks, on a GPU if the site gives runs one and this process sees it, else on
    its CPU with the site's threads; beside trainings that share the device it comes out too long. Compare latencies of
    one machine only. Weights are random: the time does not depend on them.
    """
    known: dict[str, float] = {}

    def counted(run: RunConfig) -> float:
        asked = f"{run.data.frames} {run.data.crop} {run.method.for_test().canonical_json()}"
        if asked not in known:
            known[asked] = _of(cost, run, site)
        return known[asked]

    return counted


def cost_label(cost: Cost) -> str:
    """For axes and headings, with the unit."""
    what, unit = _LABELS[cost]
    return f"{what} ({unit})"


def cost_unit(cost: Cost) -> str:
    """As it stands behind a number."""
    return _LABELS[cost][1]


def _of(cost: Cost, run: RunConfig, site: Site) -> float:
    if cost == "gflops":
        return measure(run).flops_per_episode / 1e9
    if cost == "parameters":
        return parameters_in_tests(run) / 1e6
    on_gpu = site.gpus_per_run > 0 and torch.cuda.is_available()
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(site.cpus_per_run)))
    try:
        return latency_ms(run, torch.device("cuda" if on_gpu else "cpu"), precision=site.precision)
    finally:
        torch.set_num_threads(threads)
