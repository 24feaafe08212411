"""What a worker does with one planned run: train it from where it stands, then measure everything that hangs on it."""

import json
import logging
import platform
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from fsar_core.aside import remove_abandoned
from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.datasets import DatasetPlace, open_index, open_splits
from fsar_core.data.folder_scan import Split
from fsar_core.frozen import Frozen
from fsar_core.kept_weights import finished_weights
from fsar_core.mask_settings import MaskSettings
from fsar_core.memory import give_back
from fsar_core.precision import Precision
from fsar_core.train import Execution, Progress, TrainState, train
from sweeps.engine.measuring import Measured, measure
from sweeps.engine.records import Environment, Origin, Point, RunFolder, RunRecord
from sweeps.engine.run_log import logged
from sweeps.engine.run_masks import masks_key, other_masks
from sweeps.engine.site import Site
from sweeps.engine.start import Start, device_name, failure_kept, now_ms

_TELL_EVERY_S = 0.5
_log = logging.getLogger(__name__)
_NAMED_VERSIONS = ("torch", "torchvision", "ray", "optuna", "mlflow", "numpy", "decord", "av")

Tell = Callable[[int, list[Point]], None]
"""Called with the step reached, and the points of the history that are new since the last call."""


class Asks(Frozen):
    """What Ray keeps free for a run, on one node."""

    cpus: float
    gpus: float
    alone: bool = False
    """It ran out of memory beside others, and gets a GPU, or without GPUs a node, for itself."""
    not_on: tuple[str, ...] = ()
    """Ray's ids of nodes whose disks had no room for it."""


class Job(Frozen):
    """A planned run as it travels to a worker."""

    run: RunConfig
    missing: tuple[EvalConfig, ...]
    folder: Path
    needs: dict[str, Path]
    """By target, the folder of the run whose weights are needed."""
    fingerprints: dict[str, str]
    site: Site
    """With the ``gpus_per_run`` of this run."""
    origin: Origin
    asks: Asks | None = None
    """None: as the site says."""

    def given(self, key: str, *, judged: bool) -> dict[str, Any]:
        """Tune's configuration of the trial. ``judged``: a search looks at its accuracies on val."""
        asks = self.asks or Asks(cpus=self.site.cpus_per_run, gpus=self.site.gpus_per_run)
        return {
            "job": self.model_dump_json(),
            "key": key,
            "judged": judged,
            "asks": {"CPU": asks.cpus, "GPU": asks.gpus},
            "not_on": list(asks.not_on),
        }


def carry_out(job: Job, tell: Tell, node: str | None = None) -> None:
    """Leaves the run's record and its evaluations in its folder. What is there already is not done again.

    What happens stands in the log there; an error is kept there as well, with Ray's ``node``, and raised.
    """
    torch.set_num_threads(max(1, int(job.site.cpus_per_run)))
    folder = RunFolder(job.folder)
    folder.path.mkdir(parents=True, exist_ok=True)
    alone = job.asks is not None and job.asks.alone
    # Two sweeps may share a run: the second one waits and finds it done.
    with (
        FileLock(folder.path / "run.lock"),
        logged(folder.path),
        failure_kept(folder, job.origin.git_commit, alone=alone, node=node) as start,
    ):
        for own in (folder.path, folder.path / "evaluations"):
            remove_abandoned(own)
        execution = job.site.execution(_device(job.site))
        start.device = device_name(execution.device)
        record = folder.record()
        if record is None:
            start.log()
            record = _Training(job, folder, execution, tell, start).finish()
            give_back()
        else:
            start.step = record.run.training.steps
            _refuse_other_masks(job, folder, record.masks)
        missing = [evaluation for evaluation in job.missing if not _measured(job, folder, evaluation)]
        if missing:
            start.log()
            _measure(job, missing, folder, record.environment.precision, execution.device)
            give_back()
        folder.clear_failure()


class _Kept(Frozen):
    """What a checkpoint holds beside the training's state."""

    started_ms: int
    train_seconds: float = 0.0
    masks: str | None = None
    history: tuple[Point, ...] = ()
    resumed_at: tuple[int, ...] = ()


class _Training:
    """One run from its newest checkpoint to its record."""

    def __init__(self, job: Job, folder: RunFolder, execution: Execution, tell: Tell, start: Start) -> None:
        self._job, self._folder, self._execution, self._tell, self._start = job, folder, execution, tell, start
        self._clips = _splits(job, job.run.data, job.run.method.mask_settings())
        needs = {target: _weights(RunFolder(path)) for target, path in job.needs.items()}
        self._state = TrainState.start(job.run, len(self._clips["train"].labels), execution, needs)
        found = self._state.resume(folder.checkpoints)
        kept = _Kept.model_validate_json(json.dumps(found)) if found else _Kept(started_ms=now_ms())
        if found:
            _refuse_other_masks(job, folder, kept.masks)
        self._started_ms, self._seconds_before = kept.started_ms, kept.train_seconds
        self._history = list(kept.history)
        self._resumed_at = [*kept.resumed_at, *([self._state.step] if found else [])]
        start.step = self._state.step
        _log.info("%s at step %d of %d", "goes on" if found else "begins", self._state.step, job.run.training.steps)
        self._began = self._saved = self._told = self._reported = time.monotonic()
        self._longest_step = 0.0
        self._untold = list(self._history)

    def finish(self) -> RunRecord:
        """Trains to the last step, writes the record and gives it."""
        selecting = self._clips[self._job.run.selection.on]
        train(self._state, self._clips["train"], selecting, self._execution, self._report)
        record = RunRecord(
            run=self._job.run,
            origin=self._job.origin,
            fingerprint=self._job.fingerprints[self._job.run.data.dataset],
            masks=self._clips["train"].mask_fingerprint(),
            environment=_environment(self._execution),
            started_ms=self._started_ms,
            ended_ms=now_ms(),
            train_seconds=self._seconds(),
            resumed_at=tuple(self._resumed_at),
            history=tuple(self._history),
            best_step=self._state.best_step,
            val_accuracy=self._state.best_val,
        )
        self._folder.write_record(record)
        _log.info("trained in %.0f s; the weights of step %d count", record.train_seconds, record.best_step)
        self._tell(self._state.step, self._untold)
        return record

    def _report(self, progress: Progress, state: TrainState) -> None:
        now, self._start.step = time.monotonic(), progress.step
        self._longest_step = max(self._longest_step, now - self._reported)
        looked = progress.val_accuracy is not None
        if looked or progress.step == 1:
            metrics = {f"train/{name}": loss for name, loss in progress.losses.items()} | {"train/lr": progress.lr}
            if progress.val_accuracy is not None:
                metrics[f"{state.run.selection.on}/accuracy"] = progress.val_accuracy
                _log.info("step %d: %s", progress.step, _words(metrics))
            point = Point(step=progress.step, time_ms=now_ms(), metrics=metrics)
            self._history.append(point)
            self._untold.append(point)
        if looked or self._due(now):
            self._save(state)
            self._saved, self._longest_step = time.monotonic(), 0.0
            _log.info("checkpoint of step %d saved in %.2f s", state.step, self._saved - now)
        if looked or now - self._told > _TELL_EVERY_S:
            self._tell(progress.step, self._untold)
            self._untold, self._told = [], now
        self._reported = time.monotonic()

    def _due(self, now: float) -> bool:
        """So that a kill takes no more than the site's time, also where the next step takes twice as long as others;
        but not more often than twice in that time."""
        allowed = self._job.site.checkpoint_seconds
        return now - self._saved > allowed - min(2 * self._longest_step, allowed / 2)

    def _save(self, state: TrainState) -> None:
        kept = _Kept(
            started_ms=self._started_ms,
            train_seconds=self._seconds(),
            masks=self._clips["train"].mask_fingerprint(),
            history=tuple(self._history),
            resumed_at=tuple(self._resumed_at),
        )
        state.save(self._folder.checkpoints, kept.model_dump(mode="json"))

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._began


def _words(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _measured(job: Job, folder: RunFolder, evaluation: EvalConfig) -> bool:
    fingerprint = job.fingerprints[evaluation.dataset or job.run.data.dataset]
    return folder.evaluation(evaluation.eval_id(job.run), fingerprint) is not None


def _measure(
    job: Job, missing: list[EvalConfig], folder: RunFolder, precision: Precision, device: torch.device
) -> None:
    trained = Measured(
        run=job.run,
        folder=folder,
        weights=_weights(folder),
        classes=len(_splits(job, job.run.data)["train"].labels),
        precision=precision,
        device=device,
        features=job.site.features(),
        origin=job.origin,
    )
    measure(trained, missing, lambda data: _splits(job, data))


def _splits(job: Job, data: DataConfig, masks: MaskSettings | None = None) -> Mapping[Split, ClipSource]:
    """With ``masks`` only for a training: a measurement needs none."""
    place, settings = job.site.place(data.dataset), data.canonical_json()
    splits = _opened(place, settings) if masks is None else _opened(place, settings, masks.canonical_json())
    train = splits["train"]
    pairs: list[tuple[str, str | None, str | None]] = [("videos", train.fingerprint, job.fingerprints[data.dataset])]
    if masks is not None:
        found = train.mask_fingerprint()
        pairs.append(("masks", found, job.fingerprints.get(masks_key(data.dataset), found)))
    for what, found, planned in pairs:
        if found != planned:
            raise RuntimeError(
                f"the {what} of {data.dataset!r} on {platform.node()} are not those of the plan: "
                f"fingerprint {found}, planned {planned}; give every node the same files, then start again"
            )
    return splits


def _refuse_other_masks(job: Job, folder: RunFolder, before: str | None) -> None:
    """Half a training on these masks and half on others, or a number of others, would belong to no record."""
    planned = job.fingerprints.get(masks_key(job.run.data.dataset))
    if job.run.method.needs_masks() and None not in (before, planned) and before != planned:
        raise RuntimeError(other_masks(folder, str(before), str(planned)))


@lru_cache(maxsize=4)  # a reused worker opens each data set once
def _opened(place: DatasetPlace, data: str, masks: str | None = None) -> Mapping[Split, ClipSource]:
    settings = None if masks is None else MaskSettings.model_validate_json(masks)
    return open_splits(place, DataConfig.model_validate_json(data), open_index(place), masks=settings)


def _weights(folder: RunFolder) -> dict[str, Tensor]:
    weights = finished_weights(folder.checkpoints)
    if weights is None:
        raise RuntimeError(
            f"the run in {folder.path} has no checkpoint any more, but its weights are needed; "
            f"remove {folder.path} to train it again, or import it with its weights"
        )
    return weights


def _device(site: Site) -> torch.device:
    if not site.gpus_per_run:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"the site gives {site.gpus_per_run:g} GPU to a run, but torch sees none on {platform.node()}"
        )
    return torch.device("cuda")


def _environment(execution: Execution) -> Environment:
    versions = {package: version(package) for package in _NAMED_VERSIONS}
    device = device_name(execution.device)
    threads = torch.get_num_threads() if execution.device.type == "cpu" else None
    return Environment(
        host=platform.node(), device=device, precision=execution.precision, versions=versions, threads=threads
    )
