"""What Ray keeps free for a run, and which nodes it has lost."""

import math
import time
from typing import Any

import ray

from sweeps.engine.job import Asks
from sweeps.engine.packing import gpus_of
from sweeps.engine.plan import PlannedRun
from sweeps.engine.site import Site

_LOST = (2, 3)
"""Ray's reasons for a node's death: unexpected, preempted; not ended or idle."""
_NOTICED_S = 20.0
"""After so many seconds Ray has noticed that a node is gone: five missed heartbeats."""


def asks_of(planned: PlannedRun, site: Site) -> Asks:
    """As the site says; for a run that ran out of memory before, a whole GPU, or without GPUs a whole node. One that
    was at work when a machine ran out of memory gets both."""
    gpus, cpus, room = gpus_of(planned.run, site), site.cpus_per_run, _node_cpus(site)
    no_memory = planned.alone or _ran_out(planned)
    if no_memory and site.gpus_per_run:
        gpus = float(max(1, math.ceil(site.gpus_per_run)))
    if planned.alone or (no_memory and not site.gpus_per_run):
        cpus = max(cpus, room)
    return Asks(cpus=cpus, gpus=gpus, alone=gpus >= 1 if site.gpus_per_run else cpus >= room)


def _ran_out(planned: PlannedRun) -> bool:
    """A damaged note of the last failure counts as none: the run's next one replaces it."""
    try:
        failure = planned.folder.failure()
    except ValueError:
        return False
    return failure is not None and failure.kind == "oom"


def _node_cpus(site: Site) -> float:
    """Of the largest node that a run can be on."""
    fitting = [
        node["Resources"].get("CPU", 0.0)
        for node in _nodes()
        if node["Alive"] and node["Resources"].get("GPU", 0.0) >= min(1.0, site.gpus_per_run)
    ]
    return max(fitting, default=site.cpus_per_run)


def nodes_lost(*, more_than: int | None = None) -> int:
    """Nodes of this Ray that died without being told to. With ``more_than`` it waits a while for one more: workers show
    first that their node is gone."""
    until = time.monotonic() + _NOTICED_S
    while True:
        nodes = _nodes()
        lost = sum(not node["Alive"] and node.get("DeathReason") in _LOST for node in nodes)
        waits = more_than is not None and lost <= more_than and len(nodes) > 1
        if not waits or time.monotonic() > until:
            return lost
        time.sleep(0.5)


def _nodes() -> list[dict[str, Any]]:
    return ray.nodes() if ray.is_initialized() else []
