"""What a plan takes besides time: memory of a step, checkpoints and records, frames not decoded yet."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.cost import BASE_CLASSES
from fsar_core.data.cache_building import missing_shards
from fsar_core.data.cache_contents import Contents, contents_of
from fsar_core.data.cache_room import disk_need
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.frame_cache import CacheError
from fsar_core.data.processes import Progress, silent
from fsar_core.fitting import fits
from fsar_core.step_cost import step_cost
from sweeps.engine.plan import Plan
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.work import alike, clips_per_batch

MOST_COUNTED = 8
_MOST_COUNT_S = 60.0
"""After so many seconds no further step is counted."""
_RUN_RECORD = 1 << 15
_EVALUATION_RECORD = 1 << 13


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Of a step; bytes that its tensors take at most."""

    kept: int
    recomputed: int | None
    """With backbones that compute again; None where what is kept fits the card."""

    def verdict(self, card: int) -> str:
        """Whether and how it goes on a card of so many bytes."""
        if fits(self.kept, card):
            return "fits"
        return "fits recomputing" if self.recomputed is not None and fits(self.recomputed, card) else "too large"


def memory(
    plan: Plan, site: Site, card: int, *, most: int = MOST_COUNTED, progress: Progress = silent
) -> dict[str, Memory]:
    """By kind of work (``alike``), of what is not trained: one step of each kind is counted, those with most pixels
    first, at most ``most`` and about a minute. ``card``: bytes of the GPU in question."""
    kinds: dict[str, RunConfig] = {}
    for planned in plan.runs:
        if not planned.trained:
            kind = alike(planned.run)
            kinds[kind] = max(kinds.get(kind, planned.run), planned.run, key=_parts)
    largest = sorted(kinds, key=lambda kind: -_pixels(kinds[kind]))[:most]
    began, found = time.monotonic(), dict[str, Memory]()
    for i, kind in enumerate(largest):
        if time.monotonic() - began > _MOST_COUNT_S:
            break
        progress(i, len(largest))
        found[kind] = _counted(kinds[kind], site, card)
    progress(len(largest), len(largest))
    return found


def _counted(run: RunConfig, site: Site, card: int) -> Memory:
    kept = step_cost(run, precision=site.precision).peak_bytes
    if fits(kept, card):
        return Memory(kept=kept, recomputed=None)
    again = step_cost(run, precision=site.precision, frames_at_once=site.frames_at_once)
    return Memory(kept=kept, recomputed=again.peak_bytes)


def _parts(run: RunConfig) -> int:
    return len(run.method.steps) + len(run.method.heads) + len(run.method.losses)


def _pixels(run: RunConfig) -> int:
    return clips_per_batch(run) * run.data.frames * run.data.crop**2


def checkpoint_bytes() -> Callable[[RunConfig], int]:
    """Of a run's checkpoint: its weights, those that val chose, the optimiser's state. Counted once for each kind."""
    known: dict[str, int] = {}

    def of(run: RunConfig) -> int:
        kind = alike(run) + run.optimizer.kind
        if kind not in known:
            known[kind] = _checkpoint(run)
        return known[kind]

    return of


def _checkpoint(run: RunConfig) -> int:
    with torch.device("meta"):
        method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=BASE_CLASSES)
    weights = sum(own.numel() * own.element_size() for own in method.state_dict().values())
    trained = sum(own.numel() * own.element_size() for own in method.parameters() if own.requires_grad)
    states = 2 if run.optimizer.kind == "adam" else bool(run.optimizer.momentum)
    return 2 * weights + states * trained


def record_bytes(evaluations: Iterable[EvalConfig], *, training: bool) -> int:
    """At most, of evaluations with two bytes an outcome, and of the training if it is to come."""
    return training * _RUN_RECORD + sum(_EVALUATION_RECORD + 2 * own.episodes for own in evaluations)


def frame_bytes(plan: Plan, site: Site, indices: Mapping[str, ClipIndex]) -> int:
    """Frames that the plan's unfinished runs read and that are not in the cache. Raises BadRequest where a sampling
    needs what the clips do not tell."""
    needed: dict[str, list[tuple[Contents, ClipIndex]]] = {}
    for contents, index in _read(plan, indices):
        needed.setdefault(contents.pixels_id, []).append((contents, index))
    total = 0
    for same_pixels in needed.values():
        counted: list[Contents] = []
        for contents, index in sorted(same_pixels, key=lambda own: -own[0].frames()):
            if not any(contents.kept.is_part_of(other.kept.name()) for other in counted):
                counted.append(contents)
                tasks, _ = missing_shards(contents, site.place(index.dataset).frames_root())
                total += disk_need(contents, tasks)
    return total


def _read(plan: Plan, indices: Mapping[str, ClipIndex]) -> list[tuple[Contents, ClipIndex]]:
    """By what lies in the cache: a setting that changes no stored pixel is none."""
    train: dict[str, DataConfig] = {}
    tested: dict[Split, dict[str, DataConfig]] = {"val": {}, "test": {}}
    for planned in plan.todo():
        data = planned.run.data
        train.setdefault(_stored(data), data)
        for evaluation in planned.missing:
            seen = {"dataset": evaluation.dataset or data.dataset, "limit": None}
            seen["test_sampling"] = evaluation.frame_sampling or data.test_sampling
            own = data.model_copy(update=seen)
            tested[evaluation.split].setdefault(_stored(own), own)
    asked: list[tuple[tuple[Split, ...], dict[str, DataConfig]]] = [(SPLITS, train)]
    for split, settings in tested.items():
        asked.append(((split,), settings))
    try:
        return [
            (contents, indices[data.dataset])
            for splits, settings in asked
            for data in settings.values()
            if data.dataset in indices
            for contents in contents_of(indices[data.dataset], data, splits)
        ]
    except CacheError as error:
        raise BadRequest([str(error)]) from error


def _stored(data: DataConfig) -> str:
    return repr((data.dataset, data.resize, data.jpeg, data.frames, data.train_sampling, data.test_sampling))
