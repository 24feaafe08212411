"""A Ray cluster of the test's own on this machine: a head that runs nothing, and nodes that can be killed."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from ray._private.node import Node
from ray.cluster_utils import Cluster

from tests.e2e.processes import kill
from tests.e2e.sweeping import trainers

_SMALL: dict[str, Any] = {"object_store_memory": 100 << 20}


class Nodes:
    """Each carries out one run at a time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @property
    def address(self) -> str:
        """What drivers take as RAY_ADDRESS."""
        return str(self._cluster.address)

    def add(self) -> Node:
        return self._cluster.add_node(num_cpus=1, **_SMALL)

    def all(self) -> list[Node]:
        """But for the head."""
        nodes: set[Node] = self._cluster.worker_nodes
        return sorted(nodes, key=_node_id)

    def workers(self) -> list[psutil.Process]:
        """The processes in which runs are trained, on all nodes."""
        return [process for node in self.all() for process in trainers(_raylet(node).pid)]

    def kill(self, node: Node) -> dict[int, float]:
        """Every process of a node at once, as when its machine goes down: when they died, by process."""
        raylet = _raylet(node)
        family = [raylet, *raylet.children(recursive=True)]
        ended = kill(family)
        self._cluster.remove_node(node, allow_graceful=False)
        return ended


def _node_id(node: Node) -> str:
    return str(node.node_id)


def _raylet(node: Node) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


@contextmanager
def ray_cluster(nodes: int) -> Generator[Nodes]:
    """Ends with its context, and leaves none of its files."""
    head = {**_SMALL, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    started: Any = cluster.head_node
    session = Path(started.get_session_dir_path())
    try:
        own = Nodes(cluster)
        for _ in range(nodes):
            own.add()
        yield own
    finally:
        cluster.shutdown()
        shutil.rmtree(session, ignore_errors=True)
