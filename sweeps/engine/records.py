"""What is kept of a run: plain files in one folder per run, each written as a whole. MLflow is filled from them."""

import os
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from fsar_core.aside import written_aside
from fsar_core.config import EvalConfig, RunConfig
from fsar_core.frozen import Frozen
from fsar_core.precision import Precision
from sweeps.engine.failures import Failure

_END = 16
"""Bytes at the end of a file of JSON, by which a cut one shows."""


class Point(Frozen):
    """One moment of a training's history."""

    step: int
    time_ms: int
    """Unix time, as first measured: logging a point twice stores it once."""
    metrics: dict[str, float]


class Origin(Frozen):
    """What asked for a result, and with which code."""

    preset: str
    """Where the recipe came from; the run itself says all that it fixed."""
    git_commit: str
    imported: str | None = None
    """The bundle that it came with, if it was not made on this storage."""

    later: ClassVar[frozenset[str]] = frozenset({"imported"})


class Environment(Frozen):
    """Where a run was trained."""

    host: str
    device: str
    precision: Precision = "fp32"
    """Its measurements are made in the same one."""
    versions: dict[str, str]
    threads: int | None = None
    """Of torch, on a CPU, where their number changes the last digits; None on a GPU, and where that was not noted."""

    later: ClassVar[frozenset[str]] = frozenset({"threads"})


class RunHead(Frozen, extra="ignore"):
    """What tables need of a finished training, whose settings its key names; the rest of its file is passed over."""

    origin: Origin
    """At its last start."""
    fingerprint: str
    """Of the training data."""
    masks: str | None = None
    """Fingerprint of the instance masks that it was trained with; None where it needed none."""
    environment: Environment
    started_ms: int
    ended_ms: int
    train_seconds: float
    """Spent on training, val included, summed over all starts."""
    resumed_at: tuple[int, ...]
    """The steps from which the run was continued after an interruption."""
    best_step: int
    val_accuracy: float
    """Of the weights that are evaluated."""


class RunRecord(RunHead, extra="forbid"):
    """A finished training."""

    run: RunConfig
    history: tuple[Point, ...]

    def steps_per_second(self) -> float:
        """Optimiser steps, val included in the time."""
        return self.run.training.steps / max(self.train_seconds, 1e-9)


class EvaluationRecord(Frozen):
    """A finished measurement. The outcome of every episode stands beside it."""

    run_id: str
    evaluation: EvalConfig
    fingerprint: str
    """Of the test data: it fixes the episodes."""
    accuracy: float
    ci95: float
    """1.96 standard errors over episodes, as the literature prints it."""
    per_class: dict[str, float]
    precision: Precision = "fp32"
    """Of sampler, backbone and steps; heads always compute in float32."""
    clips: int | None = None
    """Test clips from which the episodes were drawn; None where that was not noted."""
    too_small: dict[str, int] = Field(default_factory=dict)
    """Test classes without enough short clips, left out with so many."""
    seconds: float
    ended_ms: int
    origin: Origin


class RunFolder:
    """The files of one run on one fingerprint of data."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def record(self) -> RunRecord | None:
        """The finished training, or None."""
        text = _read(self.path / "run.json")
        return None if text is None else RunRecord.model_validate_json(text)

    def head(self) -> RunHead | None:
        """As ``record``, at a fraction of its time: of settings and history only that they are JSON is checked."""
        text = _read(self.path / "run.json")
        return None if text is None else RunHead.model_validate_json(text)

    def has_record(self) -> bool:
        """Whether the training is finished; only the end of its file is read. Raises ValueError for a cut one."""
        return _is_whole(self.path / "run.json")

    def write_record(self, record: RunRecord) -> None:
        write_aside(self.path / "run.json", record.model_dump_json(indent=1).encode())

    def evaluation(self, eval_id: str, fingerprint: str) -> EvaluationRecord | None:
        """The finished measurement on test data of this fingerprint, or None."""
        text = _read(self._evaluation(eval_id, fingerprint, ".json"))
        return None if text is None else EvaluationRecord.model_validate_json(text)

    def has_evaluation(self, eval_id: str, fingerprint: str) -> bool:
        """As ``has_record``, of a measurement."""
        return _is_whole(self._evaluation(eval_id, fingerprint, ".json"))

    def outcomes(self, eval_id: str, fingerprint: str) -> np.ndarray:
        """(episodes,) uint16, queries answered correctly in each episode."""
        content = pa.BufferReader(self._evaluation(eval_id, fingerprint, ".parquet").read_bytes())
        with pq.ParquetFile(content) as file:  # by its path, opening takes longer than reading
            return file.read(use_threads=False).column("correct").to_numpy()  # too little for threads

    def outcomes_path(self, eval_id: str, fingerprint: str) -> Path:
        """The Parquet file of ``outcomes``."""
        return self._evaluation(eval_id, fingerprint, ".parquet")

    def write_evaluation(self, eval_id: str, record: EvaluationRecord, correct: np.ndarray) -> None:
        """Outcomes first, then the record: a record without outcomes cannot exist."""
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"correct": correct.astype(np.uint16)}), sink, compression="zstd")
        write_aside(self._evaluation(eval_id, record.fingerprint, ".parquet"), sink.getvalue().to_pybytes())
        text = record.model_dump_json(indent=1).encode()
        write_aside(self._evaluation(eval_id, record.fingerprint, ".json"), text)

    def failure(self) -> Failure | None:
        """The last failure, or None."""
        text = _read(self.path / "failure.json")
        return None if text is None else Failure.model_validate_json(text)

    def write_failure(self, failure: Failure) -> None:
        """Keeps why the run failed until it succeeds, with the attempts before counted in."""
        try:
            before = self.failure()
        except ValueError:  # damaged: what is to be told now matters more
            before = None
        write_aside(self.path / "failure.json", failure.after(before).model_dump_json(indent=1).encode())

    def clear_failure(self) -> None:
        (self.path / "failure.json").unlink(missing_ok=True)

    def _evaluation(self, eval_id: str, fingerprint: str, suffix: str) -> Path:
        return self.path / "evaluations" / f"{eval_id}-{fingerprint}{suffix}"


class Store:
    """All run folders of a site's storage. ``generation`` 0 is the record; others are deliberate repetitions."""

    def __init__(self, root: Path, generation: int = 0) -> None:
        self.root, self.generation = root, generation

    def key(self, run: RunConfig, fingerprint: str) -> str:
        """Names a run's folder and its row in MLflow."""
        repetition = f"-r{self.generation}" if self.generation else ""
        return f"{run.run_id()}-{fingerprint}{repetition}"

    def folder(self, run: RunConfig, fingerprint: str) -> RunFolder:
        return self.folder_of(self.key(run, fingerprint))

    def folder_of(self, key: str) -> RunFolder:
        """By ``key``."""
        return RunFolder(self.root / "runs" / key)


def write_aside(path: Path, content: bytes) -> None:
    """The whole file or nothing, in a folder that is made if need be: a reader never sees a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_bytes(content)


def bytes_free(path: Path) -> int:
    """Of the file system that holds ``path``, which need not exist yet."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return shutil.disk_usage(existing).free


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-min(_END, path.stat().st_size), os.SEEK_END)
            end = file.read().rstrip()
    except FileNotFoundError:
        return False
    if not end.endswith(b"}"):
        raise ValueError(f"{path.name} has been cut: it must end with a brace, got {end!r}")
    return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
