"""Frame caches built by Ray tasks, on this machine or on every node of a cluster that can carry out runs."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fsar_core.data.cache_building import SLOWEST_SHARD_S, Written
from fsar_core.data.cache_shards import ShardRecord, ShardTask, write_shard
from fsar_core.data.config import DataConfig
from fsar_core.data.datasets import DatasetPlace, decode_splits, open_index
from fsar_core.data.frame_cache import CacheError
from fsar_core.data.processes import Lost, within_limit
from sweeps.engine.site import BadRequest, Site

_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """How far a cache is."""

    shards: int
    of: int
    clips: int
    """Written since the start of this call, as are the bytes."""
    bytes: int


Tell = Callable[[str, Decoded], None]
"""Called with the name of a cache, on a cluster with its node, and how far it is."""


def decode_here(place: DatasetPlace, data: DataConfig, fingerprint: str, tell: Tell, node: str | None = None) -> None:
    """Builds the caches of all splits on this machine by Ray tasks; ``node`` keeps them on it. Raises CacheError."""
    index = open_index(place)
    if index.fingerprint != fingerprint:
        raise CacheError(
            f"the videos of {place.name!r} are not those of the driver: fingerprint {index.fingerprint}, there "
            f"{fingerprint}; give every node the same files, then start again"
        )
    counting = _Counting(tell, partial(_by_ray, node=node))
    decode_splits(place, data, index, counting.watch, carry=counting.carry)


def decode_on_nodes(site: Site, data: DataConfig, fingerprint: str, tell: Tell) -> None:
    """``decode_here`` on every node that can carry out a run, at the same time; caches are local to nodes.

    Nodes that join the cluster later decode what they need when a run needs it. Raises CacheError with what went wrong
    on each node, after all have ended; BadRequest where no node can carry out a run.
    """
    nodes = _nodes(site)
    tally: Any = ray.remote(num_cpus=0)(_Tally).remote()
    build = ray.remote(num_cpus=0, max_retries=0)(_on_node)
    waiting = {
        build.options(scheduling_strategy=_pinned(node)).remote(
            site.model_dump_json(), data.canonical_json(), fingerprint, node, name, tally
        ): name
        for node, name in nodes.items()
    }
    faults: list[str] = []
    while waiting:
        done, _ = ray.wait(list(waiting), timeout=_POLL_S)
        newest: Any = ray.get(tally.taken.remote())
        for key, decoded in newest.items():
            tell(key, decoded)
        for ref in done:
            name = waiting.pop(ref)
            try:
                ray.get(ref)
            except Exception as error:
                faults.append(f"{name}: {error}")
    if faults:
        raise CacheError("\n".join(faults))


class _Counting:
    """Adds up what Ray's tasks give, split by split."""

    def __init__(self, tell: Tell, carry: Callable[[Sequence[ShardTask]], Written]) -> None:
        self._tell, self._carry = tell, carry
        self._clips = self._bytes = 0

    def watch(self, name: str) -> Callable[[int, int], None]:
        self._clips = self._bytes = 0

        def told(done: int, total: int) -> None:
            self._tell(name, Decoded(shards=done, of=total, clips=self._clips, bytes=self._bytes))

        return told

    def carry(self, tasks: Sequence[ShardTask]) -> Written:
        for task, result in self._carry(tasks):
            if isinstance(result, ShardRecord):
                self._clips += len(result.clips)
                self._bytes += result.bytes
            yield task, result


def _by_ray(tasks: Sequence[ShardTask], node: str | None) -> Written:
    """A Ray task for each shard; one whose process dies is not tried again but given as lost."""
    options = {} if node is None else {"scheduling_strategy": _pinned(node)}
    write = ray.remote(num_cpus=1, max_retries=0)(within_limit).options(**options)
    at_once = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting, running = deque(tasks), dict[Any, ShardTask]()
    while waiting or running:
        while waiting and len(running) < at_once:
            task = waiting.popleft()
            running[write.remote(write_shard, task, SLOWEST_SHARD_S)] = task
        (done,), _ = ray.wait(list(running))
        task = running.pop(done)
        try:
            yield task, ray.get(done)
        except WorkerCrashedError:
            yield task, Lost(f"reading it crashed its process or took longer than {SLOWEST_SHARD_S} s")
        except OutOfMemoryError:
            yield task, Lost("reading it took too much memory")


def _on_node(site: str, data: str, fingerprint: str, node: str, name: str, tally: Any) -> None:
    config = DataConfig.model_validate_json(data)

    def tell(cache: str, decoded: Decoded) -> None:
        ray.get(tally.put.remote(f"{name}: {cache}", decoded))  # before this task ends, so that the last one is heard

    decode_here(Site.model_validate_json(site).place(config.dataset), config, fingerprint, tell, node)


class _Tally:
    """The newest of each cache, from all nodes."""

    def __init__(self) -> None:
        self._newest: dict[str, Decoded] = {}

    def put(self, name: str, decoded: Decoded) -> None:
        self._newest[name] = decoded

    def taken(self) -> dict[str, Decoded]:
        newest, self._newest = self._newest, {}
        return newest


def _nodes(site: Site) -> dict[str, str]:
    """Ids of the nodes with room for a run, and their names."""
    wants = {"CPU": site.cpus_per_run, "GPU": site.gpus_per_run}
    nodes = {
        node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeID'][:4]})"
        for node in ray.nodes()
        if node["Alive"] and all(node["Resources"].get(what, 0) >= want for what, want in wants.items())
    }
    if not nodes:
        asked = f"{site.cpus_per_run:g} CPU and {site.gpus_per_run:g} GPU"
        raise BadRequest(
            [f"no node of the cluster has {asked}, which the site gives a run; add nodes or edit the site"]
        )
    return nodes


def _pinned(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)
