"""Adds the records of a bundle to a storage. What is there already stays as it is."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

from fsar_core.checkpoint import latest_checkpoint
from fsar_core.kept_weights import finished_weights_file, keep_weights
from sweeps.engine.bundle import MIB
from sweeps.engine.bundle_reading import Bundle, Measured, opened
from sweeps.engine.records import Origin, RunFolder, RunRecord, Store, bytes_free
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.site import BadRequest

_SPARED = 1024 * MIB
_SHOWN = 20
Tell = Callable[[int, int], None]


@dataclass
class Imported:
    """What became of the content of a bundle."""

    mark: str
    """Noted with every record that was added: file name and SHA-256 of the bundle."""
    runs: int = 0
    evaluations: int = 0
    weights: int = 0
    known: int = 0
    """Trainings and evaluations that were there already, with the same results."""
    fingerprints: set[tuple[str, str]] = field(default_factory=set)
    """Data sets that its runs were trained on, as (name, fingerprint)."""
    conflicts: list[str] = field(default_factory=list)
    """What differs from the storage and was not taken."""


def import_bundle(path: Path, storage: Path, *, dry_run: bool, checking: Tell, adding: Tell) -> Imported:
    """Checks all of it, then adds what is missing; ``checking`` hears of files, ``adding`` of runs.

    Raises BadRequest with all that is wrong with the bundle; nothing was added then.
    """
    with opened(path) as bundle:
        faults = bundle.faults(checking)
        needed, free = bundle.unpacked() + _SPARED, bytes_free(storage)
        if needed > free and not dry_run:
            faults.append(f"{storage}: {needed / 1e9:.2f} GB must be free, there are {free / 1e9:.2f} GB")
        if faults:
            more = [f"and {len(faults) - _SHOWN} faults more"] if len(faults) > _SHOWN else []
            raise BadRequest([*(f"{path.name}: {fault}" for fault in faults[:_SHOWN]), *more])
        result = Imported(mark=f"{path.name}, SHA-256 {bundle.sha256[:16]}")
        for done, key in enumerate(bundle.manifest.runs, 1):
            _Adding(bundle, key, Store(storage).folder_of(key), result, dry_run=dry_run).add()
            adding(done, len(bundle.manifest.runs))
        return result


class _Adding:
    """One run of a bundle on its way into its folder."""

    def __init__(self, bundle: Bundle, key: str, folder: RunFolder, result: Imported, *, dry_run: bool) -> None:
        self._bundle, self._key, self._folder, self._result, self._dry_run = bundle, key, folder, result, dry_run

    def add(self) -> None:
        record = self._bundle.record(self._key)
        self._result.fingerprints.add((record.run.data.dataset, record.fingerprint))
        if self._dry_run:
            self._add(record)
            return
        self._folder.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._folder.path / "run.lock", timeout=0):
                self._add(record)
        except Timeout:
            self._conflict("it is at work here at this moment; import again when it has ended")

    def _add(self, record: RunRecord) -> None:
        try:
            own = self._folder.record()
        except ValueError as error:
            raise UnreadableResultError(self._folder, "run.json", error) from error
        if own is None and latest_checkpoint(self._folder.checkpoints) is not None:
            self._conflict(f"its training is begun here; finish it, or remove {self._folder.path}, then import again")
            return
        if own is not None and _outcome(own) != _outcome(record):
            self._conflict(
                f"another training with the same settings is recorded here ({_told(own)}; in the bundle "
                f"{_told(record)}); its evaluations and weights are not mixed with it"
            )
            return
        self._add_weights()  # before the record: a run with a record is not trained again
        if own is None:
            self._result.runs += 1
            if not self._dry_run:
                self._folder.write_record(record.model_copy(update={"origin": self._marked(record.origin)}))
                self._folder.clear_failure()
        else:
            self._result.known += 1
        for measured in self._bundle.evaluations(self._key):
            self._add_evaluation(measured)

    def _add_weights(self) -> None:
        if not self._bundle.has_weights(self._key) or finished_weights_file(self._folder.checkpoints) is not None:
            return
        try:
            if not self._dry_run:
                keep_weights(self._folder.checkpoints, self._write_weights)
        except SafetensorError as error:
            self._conflict(f"its weights are no safetensors file ({error}); its numbers are taken without them")
            return
        self._result.weights += 1

    def _write_weights(self, path: Path) -> None:
        with self._bundle.weights(self._key) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, MIB)
        with safe_open(path, framework="pt") as file:
            file.keys()

    def _add_evaluation(self, measured: Measured) -> None:
        fingerprint = measured.record.fingerprint
        try:
            own = self._folder.evaluation(measured.eval_id, fingerprint)
            same = own is not None and np.array_equal(
                self._folder.outcomes(measured.eval_id, fingerprint), measured.correct
            )
        except (OSError, ValueError) as error:
            raise UnreadableResultError(self._folder, f"evaluation {measured.eval_id}", error) from error
        if own is None:
            self._result.evaluations += 1
            if not self._dry_run:
                record = measured.record.model_copy(update={"origin": self._marked(measured.record.origin)})
                self._folder.write_evaluation(measured.eval_id, record, measured.correct)
        elif same:
            self._result.known += 1
        else:
            theirs = measured.record.accuracy
            self._conflict(
                f"its evaluation {measured.name} is recorded here with other outcomes "
                f"({100 * own.accuracy:.2f} %, in the bundle {100 * theirs:.2f} %)"
            )

    def _marked(self, origin: Origin) -> Origin:
        before = "" if origin.imported is None else f", and before with {origin.imported}"
        return origin.model_copy(update={"imported": f"{self._result.mark}{before}"})

    def _conflict(self, what: str) -> None:
        self._result.conflicts.append(f"{self._key}: {what}")


def _outcome(record: RunRecord) -> tuple[object, ...]:
    """What a training gave. Equal curves mean equal weights, whenever and wherever it ran."""
    curve = tuple((point.step, tuple(sorted(point.metrics.items()))) for point in record.history)
    return record.fingerprint, record.masks, record.best_step, record.val_accuracy, curve


def _told(record: RunRecord) -> str:
    return f"{100 * record.val_accuracy:.2f} % on {record.run.selection.on} at step {record.best_step}"
