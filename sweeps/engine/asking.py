"""What Ray keeps free for a run, and which nodes it has lost."""

import math
import time
from typing import Any

import ray

from sweeps.engine.failures import Failure
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
    was at work when a machine ran out of memory gets both. One for which a node's disk had no room is kept off that
    node, where there are others."""
    gpus, cpus, room = gpus_of(planned.run, site), site.cpus_per_run, _node_cpus(site)
    failure = _last(planned)
    no_memory = planned.alone or (failure is not None and failure.kind == "oom")
    if no_memory and site.gpus_per_run:
        gpus = float(max(1, math.ceil(site.gpus_per_run)))
    if planned.alone or (no_memory and not site.gpus_per_run):
        cpus = max(cpus, room)
    alone = gpus >= 1 if site.gpus_per_run else cpus >= room
    return Asks(cpus=cpus, gpus=gpus, alone=alone, not_on=_full(failure, cpus, site))


def _full(failure: Failure | None, cpus: float, site: Site) -> tuple[str, ...]:
    """The node whose disk had no room, if another one can do the work."""
    if failure is None or failure.kind != "disk" or failure.node is None:
        return ()
    others = (node for node in _fitting(site) if node["NodeID"] != failure.node and _cpus(node) >= cpus)
    return (failure.node,) if any(others) else ()


def _last(planned: PlannedRun) -> Failure | None:
    """A damaged note of the last failure counts as none: the run's next one replaces it."""
    try:
        return planned.folder.failure()
    except ValueError:
        return None


def _node_cpus(site: Site) -> float:
    """Of the largest node that a run can be on."""
    return max(map(_cpus, _fitting(site)), default=site.cpus_per_run)


def _fitting(site: Site) -> list[dict[str, Any]]:
    """Nodes that have what a run needs of GPUs."""
    least = min(1.0, site.gpus_per_run)
    return [node for node in _nodes() if node["Alive"] and node["Resources"].get("GPU", 0.0) >= least]


def _cpus(node: dict[str, Any]) -> float:
    return node["Resources"].get("CPU", 0.0)


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
