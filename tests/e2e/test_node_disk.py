"""One node of a cluster has no room to decode into: its runs fail and say so, and the next launch makes up for them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeps.engine.records import RunFolder
from tests.e2e import small_sweep
from tests.e2e.ray_cluster import ray_cluster
from tests.e2e.sweeping import LIMIT_S, REPOSITORY, wait_until
from tests.sweeps.made_folder import write_site, write_videos

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(2 * LIMIT_S),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a node a disk of its own"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]
_NODE = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec ray start --address="$2" --num-cpus=1 --block'
"""A node for which another disk lies on the cache: one without room."""


@contextmanager
def full_node(cache: Path, address: str, log: Path) -> Generator["subprocess.Popen[bytes]"]:
    """Skips where this machine lets nobody mount."""
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if tried.returncode:
        pytest.skip(f"this machine mounts nothing: {tried.stderr.decode().strip()}")
    own = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["unshare", "--mount", "sh", "-c", _NODE, "node", str(cache), address]
    with log.open("wb") as out:
        node = subprocess.Popen(command, env=own, stdout=out, stderr=out, start_new_session=True)
    try:
        yield node
    finally:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


def launched(folder: Path, site: Path, address: str) -> tuple[int, str]:
    """The exit code of the sweep, and what it printed."""
    flags = ["--dataset", "hmdb51", "--preset", "smoke", "--seeds", "1"]
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY), "RAY_ADDRESS": address, "COLUMNS": "200"}
    command = [sys.executable, small_sweep.__file__, "--site", str(site), *flags]
    done = subprocess.run(
        command, cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S
    )
    return done.returncode, done.stdout


def joined(address: str, nodes: int) -> Callable[[], bool]:
    listed = [sys.executable, "-c", f"import ray; ray.init({address!r}, logging_level=50); print(len(ray.nodes()))"]

    def ready() -> bool:
        told = subprocess.run(listed, capture_output=True, text=True, check=False).stdout
        return told.strip().endswith(str(nodes))

    return ready


def failed(storage: Path) -> dict[str, set[str]]:
    """Reasons by kind, of the runs that have none of their own result."""
    found: dict[str, set[str]] = {}
    for path in (storage / "runs").iterdir():
        failure = RunFolder(path).failure()
        if failure is not None:
            found.setdefault(failure.kind, set()).add(failure.reason())
    return found


def test_what_a_full_node_cannot_do_is_told_and_done_by_another(tmp_path: Path) -> None:
    cache, storage = tmp_path / "cache", tmp_path / "output"
    cache.mkdir()
    site = write_site(tmp_path, write_videos(tmp_path / "videos"), cache=cache, head='ray = "auto"\ncpus_per_run = 1')
    log = tmp_path / "node.log"
    with ray_cluster(nodes=0) as nodes, full_node(cache, nodes.address, log) as node:
        wait_until(joined(nodes.address, 2), node, log)
        code, told = launched(tmp_path, site, nodes.address)
        assert code == 1, told
        reasons = failed(storage)
        assert reasons.keys() == {"disk", "needs"}, told
        assert all(f"{cache}" in reason and "its disk has" in reason for reason in reasons["disk"])
        assert "Traceback" not in told
        nodes.add()
        code, told = launched(tmp_path, site, nodes.address)
        assert code == 0, told
        assert failed(storage) == {}
        assert node.poll() is None
