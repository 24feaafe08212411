"""The nodes of a running Ray cluster: one task on each says what is there."""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.engine.doctor import Finding, fail, ok, warn
from sweeps.engine.doctor_facts import Answer, compared, facts, told
from sweeps.engine.doctor_places import marked
from sweeps.engine.site import BadRequest, Site

_LIMIT_S = 120.0
"""For a node that has to start a worker first."""


def nodes(site: Site) -> Iterator[Finding]:
    """Of a site's cluster. A site with a Ray of its own has none but this machine."""
    if site.ray == "local":
        yield ok("nodes", "this machine alone: the site says ray = 'local'")
        return
    from sweeps.engine.launch import ray_session

    try:
        with ray_session(site), marked(site.storage, "driver") as path:
            path.write_text(path.name)
            size, answers = _size(site), _asked(site, path)
    except BadRequest as refusal:
        yield fail("Ray", refusal.faults[0], "start the cluster first; or take a site with ray = 'local'")
        return
    yield size
    here = facts()
    for node, answer in answers.items():
        if isinstance(answer, Finding):
            yield answer
        else:
            yield from list(compared(node, here, answer, site)) or [ok(node, told(answer))]


def _size(site: Site) -> Finding:
    """Whether any node has room for a run; a cluster that grows may get one."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    there = ray.cluster_resources()
    told = f"{len(alive)} nodes, {there.get('CPU', 0):g} CPUs, {there.get('GPU', 0):g} GPUs"
    least = {"CPU": site.cpus_per_run, "GPU": 0.0 if site.pack_gpus else site.gpus_per_run}
    if any(all(own.get(what, 0) >= want for what, want in least.items()) for own in alive):
        return ok("Ray", told)
    want = f"{site.cpus_per_run:g} CPUs and {site.gpus_per_run:g} GPUs"
    return warn("Ray", f"{told}; none has {want}, which the site gives a run", "add such nodes, or edit the site")


def _asked(site: Site, path: Path) -> dict[str, Answer | Finding]:
    """By node, what it says, or a finding where it says nothing."""
    task = ray.remote(num_cpus=0, max_retries=0)(_on_node)
    asked: dict[str, tuple[float, Any]] = {}
    for node in ray.nodes():
        if node["Alive"]:
            pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            own = task.options(scheduling_strategy=pinned).remote(site.model_dump_json(), str(path))
            asked[f"{node['NodeManagerHostname']} ({node['NodeID'][:4]})"] = time.time(), own
    return {node: _answer(node, began, own, path) for node, (began, own) in asked.items()}


def _answer(node: str, began: float, reference: Any, path: Path) -> Answer | Finding:
    try:
        mark, there, answer = ray.get(reference, timeout=_LIMIT_S)
    except ray.exceptions.GetTimeoutError:
        return fail(node, f"gave no answer in {_LIMIT_S:.0f} s", "ray status; its logs lie in /tmp/ray there")
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()[-1]
        return fail(node, said, "install the project there as it is here: pip install -c constraints.txt -e .")
    back, ended = Path(f"{path}-{mark}"), time.time()
    seen = back.exists()
    back.unlink(missing_ok=True)
    ahead, behind = there - ended, there - began  # the answer was under way for a time that nobody knows
    return replace(answer, seen=seen, skew=ahead if ahead > 0 else min(0.0, behind))


def _on_node(site: str, path: str) -> tuple[str, float, Answer]:
    """Runs there; leaves a file that the driver should see. Gives its mark, and this machine's time."""
    own, mark, file = Site.model_validate_json(site), f"{socket.gethostname()}-{os.getpid()}", Path(path)
    reads = file.exists() and file.read_text() == file.name
    if reads:
        Path(f"{path}-{mark}").touch()
    answer = Answer(
        facts=facts(),
        reads=reads,
        seen=False,
        cache=_writable(own.cache),
        roots=tuple(name for name, entry in own.datasets.items() if not _there(name, entry.root)),
        skew=0.0,
    )
    return mark, time.time(), answer


def _there(name: str, root: Path) -> bool:
    return os.access(root, os.R_OK | os.X_OK) or (name == "motionshapes" and not root.exists())


def _writable(folder: Path) -> bool:
    existing = next(own for own in (folder, *folder.parents) if own.exists())
    return os.access(existing, os.W_OK | os.X_OK)
