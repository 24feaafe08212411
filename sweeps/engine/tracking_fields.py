"""What MLflow is told of a run, as flat names and values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.frozen import content_id
from sweeps.engine.records import EvaluationRecord, RunRecord
from sweeps.engine.selection_words import CHOSEN_ON, chosen_on, marked
from sweeps.engine.tracking_connection import Value

LONGEST_VALUE = 500
"""Characters of a parameter; MLflow cuts silently, later."""


def params(run: RunConfig) -> dict[str, str]:
    """The configuration with dotted keys. What the run needs first is named by its id, not repeated."""
    fields = run.model_dump(mode="json", exclude={"needs"})
    fields["needs"] = [
        {"run_id": need.run.run_id(), "source": need.source, "target": need.target} for need in run.needs
    ]
    return {key: short(value) for key, value in _flat("", fields)}


def short(value: object) -> str:
    """The text of a value; a long one is named by its hash, so that it can still be compared."""
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{content_id(text)}: {len(text)} characters, see run.json"


def run_name(run: RunConfig) -> str:
    """For people: what is trained, on what, and enough of the id to tell it from others."""
    parts = [head.matcher.kind for head in run.method.heads] or [loss.kind for loss in run.method.losses]
    shape = "clips" if run.batches.kind == "clips" else f"{run.batches.way}-way {run.batches.shot}-shot"
    return f"{'+'.join(parts)}, {run.data.dataset}, {shape}, seed {run.seed} {marked(f'[{run.run_id()[:6]}]', run)}"


def tags(record: RunRecord) -> dict[str, str]:
    """Where a finished training comes from."""
    environment = record.environment
    return {
        "run_id": record.run.run_id(),
        "fingerprint": record.fingerprint,
        **({"masks": record.masks} if record.masks else {}),
        "preset": record.origin.preset,
        CHOSEN_ON: chosen_on(record.run),
        "git_commit": record.origin.git_commit,
        "mlflow.source.git.commit": record.origin.git_commit,
        "host": environment.host,
        "device": environment.device,
        **{f"version.{name}": version for name, version in environment.versions.items()},
        **({"resumed_at": " ".join(map(str, record.resumed_at))} if record.resumed_at else {}),
    }


def summary(record: RunRecord) -> dict[str, float]:
    """Metrics of the whole training."""
    return {
        f"summary/{record.run.selection.on}_accuracy": record.val_accuracy,
        "summary/best_step": float(record.best_step),
        "summary/train_seconds": record.train_seconds,
        "summary/steps_per_second": record.steps_per_second(),
    }


def measurements(run: RunConfig, records: Mapping[str, EvaluationRecord]) -> list[Value]:
    """Of evaluations, given by id. The earliest of those of one name keeps it, others add their id."""
    taken: set[str] = set()
    metrics: list[Value] = []
    for eval_id, record in sorted(records.items(), key=lambda item: (item[1].ended_ms, item[0])):
        name = f"{record.evaluation.split}/{evaluation_name(record.evaluation, run)}"
        if name in taken:
            name = f"{name}-{eval_id[:8]}"
        taken.add(name)
        metrics += [
            Value(f"{name}/accuracy", record.accuracy, record.ended_ms),
            Value(f"{name}/ci95", record.ci95, record.ended_ms),
        ]
    return metrics


def evaluation_name(evaluation: EvalConfig, run: RunConfig) -> str:
    """``5way1shot``, and in what else it is not the run's plain test."""
    name = f"{evaluation.way}way{evaluation.shot}shot"
    if evaluation.dataset not in (None, run.data.dataset):
        name += f"-on-{evaluation.dataset}"
    if evaluation.frame_sampling not in (None, run.data.test_sampling):
        name += f"-{evaluation.frame_sampling}"
    if evaluation.method is not None:
        name += f"-method-{content_id(evaluation.method.canonical_json())[:8]}"
    return name


def metric_name(name: str) -> str:
    """MLflow refuses all but letters, digits and ``_-. :/``."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, object]]:
    """Lists of plain values stay one value; objects inside lists are numbered."""
    if isinstance(value, Mapping) and value:
        items: Sequence[tuple[Any, Any]] = tuple(value.items())
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = tuple(enumerate(value))
    else:
        yield prefix, value
        return
    for key, item in items:
        yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)
