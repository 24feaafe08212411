"""Runs that train nothing, and leave what a training leaves: for benchmarks of everything around trainings."""

import time
from collections.abc import Sequence

import numpy as np

from sweeps.engine.job import Job
from sweeps.engine.records import Environment, EvaluationRecord, Origin, Point, RunFolder, RunRecord

PRINTS = {"motionshapes": "0123456789abcdef"}
ORIGIN = Origin(preset="laptop", git_commit="unknown")


def look(step: int, accuracy: float) -> Point:
    """At val, now."""
    return Point(step=step, time_ms=time.time_ns() // 10**6, metrics={"val/accuracy": accuracy})


def leave_record(job: Job, looks: Sequence[Point], accuracy: float) -> None:
    """In the run's folder."""
    record = RunRecord(
        run=job.run,
        origin=job.origin,
        fingerprint=PRINTS[job.run.data.dataset],
        environment=Environment(host="", device="cpu", versions={}),
        started_ms=looks[0].time_ms,
        ended_ms=looks[-1].time_ms,
        train_seconds=0.0,
        resumed_at=(),
        history=tuple(looks),
        best_step=looks[-1].step,
        val_accuracy=accuracy,
    )
    RunFolder(job.folder).write_record(record)


def leave_evaluations(job: Job) -> None:
    """All that the run lacks, with outcomes drawn from its id."""
    for evaluation in job.missing:
        correct = np.random.default_rng(int(job.run.run_id()[:8], 16)).binomial(5, 0.5, evaluation.episodes)
        record = EvaluationRecord(
            run_id=job.run.run_id(),
            evaluation=evaluation,
            fingerprint=PRINTS[job.run.data.dataset],
            accuracy=float(correct.mean() / 5),
            ci95=0.01,
            per_class=dict.fromkeys("abcdefghijkl", 0.5),
            seconds=0.0,
            ended_ms=time.time_ns() // 10**6,
            origin=job.origin,
        )
        RunFolder(job.folder).write_evaluation(evaluation.eval_id(job.run), record, correct)
