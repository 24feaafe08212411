"""One Ray Tuner over the runs of a plan: Ray schedules, reuses workers and restarts what died."""

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import ray
import ray.exceptions
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from fsar_core.config import RunConfig
from sweeps.engine.asking import asks_of, nodes_lost
from sweeps.engine.failures import Failure, KilledForMemoryError, StorageLostError, failure_of_death, not_started
from sweeps.engine.job import Job, carry_out
from sweeps.engine.packing import card_bytes
from sweeps.engine.plan import Plan, PlannedRun, steps_done
from sweeps.engine.records import Origin, Point, RunFolder
from sweeps.engine.shipped_code import shipped_code
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.storage_fault import storage_fault

# Tune tells at length where its snapshot cannot be written, which nobody reads; a full storage is told by the sweep.
logging.getLogger("ray.tune.execution.experiment_state").setLevel(logging.CRITICAL)


class Watcher(Protocol):
    """Who is told what happens while a plan or search runs."""

    def started(self, run_key: str, run: RunConfig, step: int) -> None: ...
    def stepped(self, run_key: str, step: int, points: list[Point]) -> None: ...
    def finished(self, run_key: str, folder: RunFolder, *, failed: bool) -> None: ...


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
    told = False

    def tell(step: int, points: list[Point]) -> None:
        nonlocal told
        looks = [p.metrics["val/accuracy"] for p in points if p.step == step and "val/accuracy" in p.metrics]
        judged = {"val_accuracy": looks[-1]} if looks and config["judged"] else {}
        tune.report({"step": step, "points": [point.model_dump() for point in points], "failed": False, **judged})
        told = True

    try:
        carry_out(job, tell)
    except Exception:
        tune.report({"step": 0, "points": [], "failed": True})
        told = True
    if not told:  # Tune prints a line for a trial that ends without a word, as where only tests were missing
        tell(job.run.training.steps, [])


class PlanSearcher(Searcher):
    """Gives Tune each run once the runs that it needs are done. Its only state is the plan."""

    def __init__(self, jobs: Mapping[str, Job], needs: Mapping[str, tuple[str, ...]], watcher: Watcher) -> None:
        super().__init__(metric="step", mode="max")
        self._jobs, self._waiting = jobs, dict(needs)
        self._unfinished, self._failed = set(jobs), set[str]()
        self.gave_up = False
        """Whether Ray gave a run up whose worker died too often."""
        self.lost = ""
        """Why the storage takes nothing any more: then no further run is given out."""
        self._trials: dict[str, str] = {}
        self._watcher = watcher

    def suggest(self, trial_id: str) -> Any:
        """A run whose needs are done; None while there is none yet; FINISHED after the last."""
        if self.lost:
            return Searcher.FINISHED
        for key, needs in list(self._waiting.items()):
            if self._failed.intersection(needs):
                del self._waiting[key]
                self._failed.add(key)
                folder = RunFolder(self._jobs[key].folder)
                folder.write_failure(not_started(sorted(self._failed.intersection(needs))))
                self._watcher.finished(key, folder, failed=True)
            elif not self._unfinished.intersection(needs):
                del self._waiting[key]
                self._trials[trial_id] = key
                return self._jobs[key].given(key, judged=False)
        return None if self._waiting else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        key = self._trials.pop(trial_id)
        self._unfinished.discard(key)
        self.gave_up = self.gave_up or error
        if error or result is None or result.get("failed"):
            self._failed.add(key)
            self.lost = self.lost or storage_fault(self._jobs[key].site.storage)

    def at_work(self) -> tuple[str, ...]:
        """Keys of the runs that were given out and have not come back."""
        return tuple(self._trials.values())

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes a copy of the searcher to disk, which nobody reads; a watcher cannot be written."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: launching again makes the plan again from what is recorded."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore; see ``save``."""


class Telling(tune.Callback):
    """Passes what Tune sees on to the watcher."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes a copy of its callbacks to disk, which nobody reads; a watcher cannot be written."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        job = Job.model_validate_json(trial.config["job"])
        self._watcher.started(trial.config["key"], job.run, steps_done(RunFolder(job.folder)))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        points = [Point.model_validate(point) for point in result.get("points", [])]
        if not result.get("failed"):
            self._watcher.stepped(trial.config["key"], result["step"], points)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        failed = bool(trial.last_result.get("failed"))
        self._watcher.finished(trial.config["key"], _folder(trial), failed=failed)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        if trial.status == Trial.ERROR:
            folder = _folder(trial)
            folder.write_failure(_death(trial, folder))
            self._watcher.finished(trial.config["key"], folder, failed=True)


def _folder(trial: Trial) -> RunFolder:
    return RunFolder(Job.model_validate_json(trial.config["job"]).folder)


def _death(trial: Trial, folder: RunFolder) -> Failure:
    """What Ray wrote of the last death; only Tune's last report knows the host."""
    error = Path(trial.error_file).read_text(errors="replace") if trial.error_file else ""
    last = error.rpartition("Failure # ")[2].partition("\n")[2].strip()
    job = Job.model_validate_json(trial.config["job"])
    return failure_of_death(
        f"its worker died more often than the site's retries allow\n{last}".strip(),
        host=trial.last_result.get("hostname"),
        step=max(trial.last_result.get("step", 0), steps_done(folder)),
        git_commit=job.origin.git_commit,
        alone=job.asks is not None and job.asks.alone,
    )


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
    searcher = PlanSearcher(jobs, needs, watcher)
    before = nodes_lost()
    try:
        fit(searcher, site, Telling(watcher))
    except KilledForMemoryError as error:
        raise KilledForMemoryError(error.told, searcher.at_work()) from error
    if searcher.lost:
        raise StorageLostError(searcher.lost)
    return nodes_lost(more_than=before if searcher.gave_up else None) - before


def fit(
    searcher: Searcher,
    site: Site,
    telling: Telling,
    scheduler: Any = None,
    trainable: Callable[[dict[str, Any]], None] = trainable,
) -> None:
    """One Tuner. Its own snapshots are not used: the record is in the runs' folders.

    Raises KilledForMemoryError where Ray's memory monitor kills a worker, which ends the Tuner instead of the trial.
    """
    tuner = tune.Tuner(
        tune.with_resources(trainable, partial(_resources, {"CPU": site.cpus_per_run, "GPU": site.gpus_per_run})),
        tune_config=tune.TuneConfig(search_alg=searcher, num_samples=10**6, reuse_actors=True, scheduler=scheduler),
        run_config=tune.RunConfig(
            storage_path=str(site.storage / "tune"),
            verbose=0,
            callbacks=[telling],
            failure_config=tune.FailureConfig(max_failures=site.retries),
        ),
    )
    try:
        tuner.fit()
    except RuntimeError as error:
        if isinstance(error.__cause__, ray.exceptions.OutOfMemoryError):
            raise KilledForMemoryError(str(error.__cause__)) from error
        raise


def _resources(site: dict[str, float], config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """Runs of a packed site differ in what they ask for; ``site``: of a run that asks for nothing else."""
    return tune.PlacementGroupFactory([config.get("asks", site)])
