"""Runs that share GPUs, run out of memory or lose their node, on a real Ray with GPUs that are only declared."""

import json
import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import ray
import torch
from ray import tune
from ray.cluster_utils import Cluster
from rich.console import Console

from fsar_core.config import RunConfig
from sweeps.engine import launch, packing
from sweeps.engine.job import Job
from sweeps.engine.plan import Plan, make_plan
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.relaunch import complete_plan
from sweeps.engine.site import Site
from sweeps.engine.start import failure_kept
from sweeps.engine.watch import Display
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import ORIGIN, PRINTS, run_config, train_record

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
SMALL: dict[str, Any] = {"object_store_memory": 100 << 20}
"""Of a node."""
SLOTS = 3
FULL, WRONG, SLOW = 0.8, 0.9, 0.7
"""Values of ``lam`` that say what becomes of a run."""


def trained(config: dict[str, Any]) -> None:
    """In the place of a training: notes what Ray gave, then succeeds or fails as the run says."""
    job = Job.model_validate_json(config["job"])
    folder, lam = RunFolder(job.folder), json.loads(job.run.model_dump_json())["method"]["heads"][0]["matcher"]["lam"]
    folder.path.mkdir(parents=True, exist_ok=True)
    context = ray.get_runtime_context()
    given = {"gpu": context.get_assigned_resources().get("GPU", 0.0), "ids": ray.get_gpu_ids()}
    tune.report({"step": 0, "points": [], "failed": False})
    try:
        with failure_kept(folder, "c", alone=bool(job.asks and job.asks.alone)):
            while lam == SLOW and not (job.site.storage / "go_on").exists():
                (job.site.storage / "at_work").write_text(context.get_node_id())
                time.sleep(0.05)
            if lam < SLOW:
                _meet(job.site.storage / "together")
            if lam == WRONG:
                raise ValueError("a bug")
            if lam == FULL and not (job.asks and job.asks.alone):
                raise torch.OutOfMemoryError("CUDA out of memory")
            folder.write_record(train_record(job.run))
            folder.clear_failure()
    except (ValueError, torch.OutOfMemoryError):
        tune.report({"step": 0, "points": [], "failed": True})
    with (folder.path / "given.jsonl").open("a") as file:
        file.write(json.dumps(given) + "\n")


def _meet(place: Path) -> None:
    """Waits for more runs than there are GPUs; without a share of one they would never meet."""
    place.mkdir(parents=True, exist_ok=True)
    (place / uuid4().hex).touch()
    until = time.monotonic() + 100
    while len(list(place.iterdir())) < 3:
        if time.monotonic() > until:
            raise ValueError("no three runs at a time")
        time.sleep(0.05)


class Untracked:
    """In the place of MLflow."""

    def record_run(self, key: str, folder: RunFolder) -> None: ...
    def progress(self, key: str, run: RunConfig, points: object) -> None: ...


@pytest.fixture
def complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Site, list[float]], Plan]:
    """Completes a plan of such runs, and gives it as it then stands."""
    monkeypatch.setattr(launch, "fit", partial(launch.fit, trainable=trained))

    def completed(site: Site, lams: list[float]) -> Plan:
        wanted = [(run_config(lam), None) for lam in lams]
        compared = partial(make_plan, wanted, Store(tmp_path / "store"), PRINTS)
        display = Display(Console(quiet=True))
        complete_plan(compared(), compared, site, ORIGIN, cast(Any, Untracked()), display)
        return compared()

    return completed


def givens(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.path / "given.jsonl").read_text().splitlines()]


@pytest.fixture
def two_gpus() -> Generator[None]:
    ray.init(address="local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_runs_share_gpus_by_memory_and_one_that_runs_out_of_it_gets_one_alone(
    two_gpus: None, complete: Callable[[Site, list[float]], Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(run: RunConfig, site: Site) -> int:
        return 9 << 30

    monkeypatch.setattr(packing, "_peak_bytes", half)
    site = made_site(tmp_path).model_copy(update={"gpus_per_run": 1.0, "pack_gpus": True, "gpu_gib": 24.0})
    *good, full, wrong = complete(site, [0.1, 0.2, 0.3, 0.4, FULL, WRONG]).runs
    assert [planned.done for planned in (*good, full, wrong)] == [True] * 5 + [False]
    shares = [given for planned in good for given in givens(planned.folder)]
    assert [given["gpu"] for given in shares] == [0.5] * 4
    assert all(len(given["ids"]) == 1 for given in shares)
    assert [given["gpu"] for given in givens(full.folder)] == [0.5, 1.0]
    failure = wrong.folder.failure()
    assert failure is not None
    assert (failure.kind, failure.attempts, len(givens(wrong.folder))) == ("bug", 1, 1)


def brief(config: dict[str, Any]) -> None:
    """Shorter than the start of its worker, which it names."""
    job = Job.model_validate_json(config["job"])
    workers = job.site.storage / "workers"
    workers.mkdir(parents=True, exist_ok=True)
    (workers / str(os.getpid())).touch()
    time.sleep(0.2)
    RunFolder(job.folder).write_record(train_record(job.run))
    tune.report({"step": job.run.training.steps, "points": [], "failed": False})


def test_slots_fill_with_runs_that_are_shorter_than_the_start_of_a_worker(
    complete: Callable[[Site, list[float]], Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "fit", partial(launch.fit, trainable=brief))
    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    try:
        assert complete(site := made_site(tmp_path), [0.01 * i for i in range(1, 61)]).complete()
    finally:
        ray.shutdown()
    assert len(list((site.storage / "workers").iterdir())) == SLOTS


@pytest.fixture
def head() -> Generator[Cluster]:
    """Alone, and without room for a run."""
    head = {**SMALL, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def two_nodes(head: Cluster) -> Cluster:
    head.add_node(num_cpus=1, **SMALL)
    head.wait_for_nodes()
    return head


def test_a_cluster_that_may_grow_is_asked_for_all_runs_at_once(
    head: Cluster, complete: Callable[[Site, list[float]], Plan], tmp_path: Path
) -> None:
    site = made_site(tmp_path).model_copy(update={"ray": "auto"})
    with ThreadPoolExecutor(1) as beside:  # nodes are added by the main thread only
        completed = beside.submit(complete, site, [0.1, 0.2, 0.3])
        asked = _grown(head, 3)
        assert completed.result().complete()
    assert asked == 3


def _grown(cluster: Cluster, runs: int) -> int:
    """Adds room when so many runs ask for it, which is what an autoscaler sees; after a while in any case. Gives how
    many there were."""
    until, asked = time.monotonic() + 60, 0
    while time.monotonic() < until and asked < runs:
        groups: dict[str, dict[str, str]] = ray.util.placement_group_table()
        asked = sum(group["state"] == "PENDING" for group in groups.values())
        time.sleep(0.05)
    cluster.add_node(num_cpus=runs, **SMALL)
    return asked


def test_a_lost_node_is_no_failure_of_its_run_even_without_retries(
    two_nodes: Cluster, complete: Callable[[Site, list[float]], Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = made_site(tmp_path).model_copy(update={"retries": 0})
    site.storage.mkdir(parents=True)
    run_plan, launched = launch.run_plan, list[int]()

    def killing(plan: Plan, *words: Any) -> int:
        if launched:
            two_nodes.add_node(num_cpus=1, **SMALL)
            (site.storage / "go_on").touch()
        launched.append(len(plan.todo()))
        return run_plan(plan, *words)

    monkeypatch.setattr(launch, "run_plan", killing)
    killer = threading.Thread(target=_kill_at_work, args=(two_nodes, site.storage / "at_work"))
    killer.start()
    (planned,) = complete(site, [SLOW]).runs
    killer.join()
    assert planned.done
    assert launched == [1, 1]


def _kill_at_work(cluster: Cluster, note: Path) -> None:
    """Kills the node on which a run is at work; it must not be the head's."""
    while not note.exists() or not note.read_text():
        time.sleep(0.05)
    (node,) = [node for node in cluster.list_all_nodes() if node.node_id == note.read_text()]
    cluster.remove_node(node, allow_graceful=False)
