"""One Ray Tuner over the runs of a plan: Ray schedules, reuses workers and restarts what died."""

import logging
import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import ray
import ray.exceptions
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from sweeps.engine.asking import asks_of, nodes_lost
from sweeps.engine.failures import KilledForMemoryError, StorageLostError
from sweeps.engine.job import Job, carry_out
from sweeps.engine.packing import card_bytes
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.plan_searcher import PlanSearcher
from sweeps.engine.records import Origin, Point, RunFolder
from sweeps.engine.shipped_code import shipped_code
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.telling import Telling, Watcher
from sweeps.engine.worker_choice import FirstWaiting

# Tune tells at length where its snapshot cannot be written, which nobody reads; a full storage is told by the sweep.
logging.getLogger("ray.tune.execution.experiment_state").setLevel(logging.CRITICAL)

_AHEAD = "TUNE_MAX_PENDING_TRIALS_PG"
MOST_AHEAD = 200
"""As Ray has it for its own generators."""
_REPORTS_PER_S = 50
"""Of steps alone; the bar that they move needs no more."""


@contextmanager
def ray_session(site: Site) -> Generator[None]:
    """Connects to the site's Ray, or starts one for this driver alone; leaves it as it was found.

    Ray's processes listen on every interface of the machine; what protects them is the token that Ray makes on its own.
    """
    if ray.is_initialized():
        yield
        return
    if site.ray == "auto":
        try:
            ray.init(address="auto", runtime_env=shipped_code(), log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            fault = f"the site says ray = 'auto', but no Ray cluster is running here ({error})"
            token = "where it asks for a token, RAY_AUTH_MODE=token and ~/.ray/auth_token are needed here"
            raise BadRequest([f"{fault}; start one ({token}), or use ray = 'local'"]) from error
    else:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        _check_room(site)
        yield
    finally:
        ray.shutdown()


def _check_room(site: Site) -> None:
    """On one machine, what a run asks for must be there: Tune would wait for ever. Clusters may grow. Where GPUs are
    packed, their memory must be known."""
    there = ray.cluster_resources()
    wants = {"CPU": site.cpus_per_run, "GPU": site.gpus_per_run}
    short = {what: want for what, want in wants.items() if want > there.get(what, 0)}
    if site.ray == "local" and short:
        raise BadRequest(
            [
                f"the site gives each run {want:g} {what}, this machine has {there.get(what, 0):g}; edit the site"
                for what, want in short.items()
            ]
        )
    if site.pack_gpus:
        card_bytes(site)


def trainable(config: Mapping[str, Any]) -> None:
    """Ray's entry. An error of the run itself, which ``carry_out`` keeps in the run's folder, is not repeated; a death
    of the worker is Ray's to mend."""
    job = Job.model_validate_json(config["job"])
    told, every, last = False, _seconds_between_reports(job.site), 0.0

    def tell(step: int, points: list[Point]) -> None:
        nonlocal told, last
        if not points and step < job.run.training.steps and time.monotonic() - last < every:
            return
        last = time.monotonic()
        looks = [p.metrics["val/accuracy"] for p in points if p.step == step and "val/accuracy" in p.metrics]
        judged = {"val_accuracy": looks[-1]} if looks and config["judged"] else {}
        tune.report({"step": step, "points": [point.model_dump() for point in points], "failed": False, **judged})
        told = True

    try:
        carry_out(job, tell, _node())
    except Exception:
        tune.report({"step": 0, "points": [], "failed": True})
        told = True
    if not told:  # Tune prints a line for a trial that ends without a word, as where only tests were missing
        tell(job.run.training.steps, [])


def _node() -> str | None:
    """Ray's id of the one that this process is on; None without Ray, which being asked would start."""
    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else None


def _seconds_between_reports(site: Site) -> float:
    """Of a run that has no new look to tell: as many runs as the cluster carries report ``_REPORTS_PER_S`` together."""
    return _slots(site) / _REPORTS_PER_S


def _slots(site: Site) -> float:
    """Runs that Ray's resources of now carry at a time; where GPUs are packed, at most. 0 without Ray."""
    if not ray.is_initialized():
        return 0.0
    there = ray.cluster_resources()
    wants = {"CPU": site.cpus_per_run, "GPU": 0.0 if site.pack_gpus else site.gpus_per_run}
    return min(there.get(what, 0.0) / want for what, want in wants.items() if want)


def jobs_of(plan: Plan, site: Site, origin: Origin) -> dict[str, Job]:
    """The runs that are not done, as workers get them."""
    folders = {planned.key: planned.folder for planned in plan.runs}
    return {planned.key: job_of(planned, folders, plan.fingerprints, site, origin) for planned in plan.todo()}


def job_of(
    planned: PlannedRun, folders: Mapping[str, RunFolder], fingerprints: Mapping[str, str], site: Site, origin: Origin
) -> Job:
    """``folders``: by key, of all runs that ``planned`` needs."""
    by_target = zip((need.target for need in planned.run.needs), planned.needs, strict=True)
    asks = asks_of(planned, site)
    return Job(
        run=planned.run,
        missing=planned.missing,
        folder=planned.folder.path,
        needs={target: folders[key].path for target, key in by_target},
        fingerprints=dict(fingerprints),
        site=site.model_copy(update={"gpus_per_run": asks.gpus}),
        origin=origin,
        asks=asks,
    )


def run_plan(plan: Plan, site: Site, origin: Origin, watcher: Watcher) -> int:
    """Carries out what the plan lacks. Failures are in the runs' folders; ``watcher`` hears of everything. Gives the
    nodes that were lost meanwhile.

    Raises KilledForMemoryError: then Ray must be left before anything else is launched. Raises StorageLostError.
    """
    jobs = jobs_of(plan, site, origin)
    needs = {planned.key: planned.needs for planned in plan.todo()}
    searcher, telling = PlanSearcher(jobs, needs, watcher), Telling(watcher)
    before = nodes_lost()
    try:
        fit(searcher, site, telling, ahead=len(jobs))
    except KilledForMemoryError as error:
        raise KilledForMemoryError(error.told, telling.at_work) from error
    if searcher.lost:
        raise StorageLostError(searcher.lost)
    return nodes_lost(more_than=before if searcher.gave_up else None) - before


def fit(
    searcher: Searcher,
    site: Site,
    telling: Telling,
    scheduler: FIFOScheduler | None = None,
    trainable: Callable[[dict[str, Any]], None] = trainable,
    ahead: int = 1,
) -> None:
    """One Tuner. Its own snapshots are not used: the record is in the runs' folders. ``ahead``: runs that may ask a
    cluster for resources before it has them, so that it grows by as many nodes at a time; one machine does not grow:
    there, all slots start at once and one run waits.

    Raises KilledForMemoryError where Ray's memory monitor kills a worker, which ends the Tuner instead of the trial.
    """
    tuner = tune.Tuner(
        tune.with_resources(trainable, partial(_resources, {"CPU": site.cpus_per_run, "GPU": site.gpus_per_run})),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=10**6,
            reuse_actors=True,
            scheduler=scheduler or FirstWaiting(),
            max_concurrent_trials=int(_slots(site)) + 1 if site.ray == "local" else None,
        ),
        run_config=tune.RunConfig(
            storage_path=str(site.storage / "tune"),
            verbose=0,
            callbacks=[telling],
            failure_config=tune.FailureConfig(max_failures=site.retries),
        ),
    )
    try:
        with nullcontext() if site.ray == "local" else _asking_ahead(min(ahead, MOST_AHEAD)):
            tuner.fit()
    except RuntimeError as error:
        if isinstance(error.__cause__, ray.exceptions.OutOfMemoryError):
            raise KilledForMemoryError(str(error.__cause__)) from error
        raise


@contextmanager
def _asking_ahead(runs: int) -> Generator[None]:
    """Tune reads it from the environment alone, where what a user has set counts; for searchers it takes one run."""
    if _AHEAD in os.environ:
        yield
        return
    os.environ[_AHEAD] = str(runs)
    try:
        yield
    finally:
        del os.environ[_AHEAD]


def _resources(site: dict[str, float], config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """Runs of a packed site differ in what they ask for; ``site``: of a run that asks for nothing else."""
    asks, not_on = config.get("asks", site), config.get("not_on")
    if not not_on:
        return tune.PlacementGroupFactory([asks])
    return tune.PlacementGroupFactory([asks], bundle_label_selector=[{"ray.io/node-id": f"!in({','.join(not_on)})"}])
