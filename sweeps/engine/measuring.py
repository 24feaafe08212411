"""What is measured on a run's weights: evaluations that see the same features share them, in this launch and later."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from fsar_core.checkpoint import drop_parts
from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import Split
from fsar_core.evaluate import evaluate, subset_of
from fsar_core.features import FeatureStore
from fsar_core.method import Method
from fsar_core.precision import Precision
from sweeps.engine.records import EvaluationRecord, Origin, RunFolder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A trained run, and where its measurements are made."""

    run: RunConfig
    folder: RunFolder
    weights: Mapping[str, Tensor]
    classes: int
    """Train classes."""
    precision: Precision
    """As it was trained, wherever it is measured."""
    device: torch.device
    features: FeatureStore
    origin: Origin


def measure(
    trained: Measured, missing: list[EvalConfig], splits: Callable[[DataConfig], Mapping[Split, ClipSource]]
) -> None:
    """Writes a record for each evaluation. Those of one method on one split of a data set share one pass over its
    videos."""
    run = trained.run
    for _, alike in groupby(sorted(missing, key=_embedding), key=_embedding):
        group = list(alike)
        seen = {
            "dataset": group[0].dataset or run.data.dataset,
            "test_sampling": group[0].frame_sampling or run.data.test_sampling,  # its frames are kept by it
            "limit": None,
        }
        data = run.data.model_copy(update=seen)
        asked = splits(data)[group[0].split]
        config = (group[0].method or run.method).for_test()
        method = config.build(frames=data.frames, crop=data.crop, classes=trained.classes)
        method.load_state_dict(drop_parts(trained.weights, keep=method))
        method.to(trained.device)
        known = trained.features.known_per_clip(method, asked, trained.device, precision=trained.precision)
        for evaluation in group:
            _measure_one(trained, evaluation, method, asked, known)


def _measure_one(
    trained: Measured, evaluation: EvalConfig, method: Method, asked: ClipSource, known: Mapping[str, Tensor]
) -> None:
    began = time.monotonic()
    result = evaluate(method, asked, evaluation, trained.device, known, trained.precision)
    subset = subset_of(asked, evaluation)
    record = EvaluationRecord(
        run_id=trained.run.run_id(),
        evaluation=evaluation,
        fingerprint=asked.fingerprint,
        accuracy=result.accuracy,
        ci95=result.ci95,
        per_class=result.per_class,
        precision=trained.precision,
        clips=subset.clips(),
        too_small=subset.too_small,
        seconds=time.monotonic() - began,
        ended_ms=time.time_ns() // 1_000_000,
        origin=trained.origin,
    )
    eval_id = evaluation.eval_id(trained.run)
    trained.folder.write_evaluation(eval_id, record, result.correct)
    where = f"{evaluation.split} of {evaluation.dataset or trained.run.data.dataset}"
    what = f"{evaluation.way}-way {evaluation.shot}-shot on {where}"
    number = f"{100 * record.accuracy:.2f} ± {100 * record.ci95:.2f} %, {evaluation.episodes} episodes"
    _log.info("measured %s: %s in %.1f s, evaluation %s", what, number, record.seconds, eval_id)


def _embedding(evaluation: EvalConfig) -> str:
    """Equal for evaluations that see the same features."""
    return evaluation.model_dump_json(include={"dataset", "split", "frame_sampling", "method"})
