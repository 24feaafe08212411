"""What Tune sees of runs, passed on to who wants to know."""

from pathlib import Path
from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial

from fsar_core.config import RunConfig
from sweeps.engine.failures import Failure, failure_of_death
from sweeps.engine.job import Job
from sweeps.engine.plan import steps_done
from sweeps.engine.records import Point, RunFolder


class Watcher(Protocol):
    """Who is told what happens while a plan or search runs."""

    def started(self, run_key: str, run: RunConfig, step: int) -> None: ...
    def stepped(self, run_key: str, step: int, points: list[Point]) -> None: ...
    def finished(self, run_key: str, folder: RunFolder, *, failed: bool) -> None: ...


class Telling(tune.Callback):
    """Passes what Tune sees on to the watcher."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.at_work: dict[str, Job] = {}
        """By key, the runs that have started and not ended."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes a copy of its callbacks to disk, which nobody reads; a watcher cannot be written."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.at_work[trial.config["key"]] = job = _job(trial)
        self._watcher.started(trial.config["key"], job.run, steps_done(RunFolder(job.folder)))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        points = [Point.model_validate(point) for point in result.get("points", [])]
        if not result.get("failed"):
            self._watcher.stepped(trial.config["key"], result["step"], points)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        failed = bool(trial.last_result.get("failed"))
        job = self.at_work.pop(trial.config["key"], None) or _job(trial)
        self._watcher.finished(trial.config["key"], RunFolder(job.folder), failed=failed)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.at_work.pop(trial.config["key"], None)
        if trial.status == Trial.ERROR:
            job = _job(trial)
            folder = RunFolder(job.folder)
            folder.write_failure(_death(trial, job, folder))
            self._watcher.finished(trial.config["key"], folder, failed=True)


def _job(trial: Trial) -> Job:
    return Job.model_validate_json(trial.config["job"])


def _death(trial: Trial, job: Job, folder: RunFolder) -> Failure:
    """What Ray wrote of the last death; only Tune's last report knows the host."""
    error = Path(trial.error_file).read_text(errors="replace") if trial.error_file else ""
    last = error.rpartition("Failure # ")[2].partition("\n")[2].strip()
    return failure_of_death(
        f"its worker died more often than the site's retries allow\n{last}".strip(),
        host=trial.last_result.get("hostname"),
        step=max(trial.last_result.get("step", 0), steps_done(folder)),
        git_commit=job.origin.git_commit,
        alone=job.asks is not None and job.asks.alone,
    )
