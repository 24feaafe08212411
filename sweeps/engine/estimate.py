"""How long a plan will take: from recorded runs that do the same work or alike, else from a few short probes here."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from fsar_core.config import RunConfig
from fsar_core.data.processes import Progress, silent
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.probing import probe
from sweeps.engine.records import RunFolder, RunHead
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.site import Site
from sweeps.engine.work import alike, same_work

MOST_PROBES = 8
_MOST_PROBE_S = 60.0
"""After so many seconds no further probe is begun."""
_RECORDS = 3
"""Of a kind of work are read; more would tell little more."""
_NEWEST = 50
"""Records of other plans that are looked through for runs alike."""

Source = Literal["recorded", "measured"]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Of a training's optimiser step."""

    seconds: float
    source: Source
    where: str
    """The device."""


class _Trained(NamedTuple):
    run: RunConfig
    record: RunHead


def slots(site: Site) -> int:
    """Runs at a time on this machine; on a cluster, at least that many."""
    by_cpu = (os.cpu_count() or 1) // site.cpus_per_run
    by_gpu = torch.cuda.device_count() // site.gpus_per_run if site.gpus_per_run else by_cpu
    return max(1, int(min(by_cpu, by_gpu)))


def can_measure(site: Site) -> bool:
    """Whether a step on this machine tells anything of the site's: a CPU tells nothing of a GPU."""
    return not site.gpus_per_run or torch.cuda.is_available()


def speeds(plan: Plan, site: Site, *, probes: int = MOST_PROBES, progress: Progress = silent) -> dict[str, Speed]:
    """By key, of the runs whose speed something tells; at most ``probes`` kinds of unfinished work are measured now.

    Raises UnreadableResultError for a damaged record of the plan.
    """
    works = {planned.key: same_work(planned.run) for planned in plan.runs}
    kinds = {planned.key: alike(planned.run) for planned in plan.runs}
    by_work, by_kind = _recorded(plan, works, site)
    kinds_left: dict[str, list[PlannedRun]] = defaultdict(list)
    for planned in plan.runs:
        if planned.steps_left and works[planned.key] not in by_work and kinds[planned.key] not in by_kind:
            kinds_left[kinds[planned.key]].append(planned)
    measured = _measured(kinds_left, site, probes, progress)
    found = {key: by_work.get(works[key]) or by_kind.get(kind) or measured.get(kind) for key, kind in kinds.items()}
    return {key: speed for key, speed in found.items() if speed is not None}


def _recorded(plan: Plan, works: Mapping[str, str], site: Site) -> tuple[dict[str, Speed], dict[str, Speed]]:
    """By work and by kind, means over records made on such devices as the site gives to runs."""
    by_work: dict[str, list[_Trained]] = defaultdict(list)
    by_kind: dict[str, list[_Trained]] = defaultdict(list)
    for trained in (*_of_plan(plan, works), *_of_others(plan, site.storage / "runs")):
        if as_here(trained.record, site):
            by_work[same_work(trained.run)].append(trained)
            by_kind[alike(trained.run)].append(trained)
    return _means(by_work), _means(by_kind)


def _of_plan(plan: Plan, works: Mapping[str, str]) -> Iterator[_Trained]:
    read: dict[str, int] = defaultdict(int)
    for planned in plan.runs:
        work = works[planned.key]
        if planned.trained and read[work] < _RECORDS:
            read[work] += 1
            try:
                record = planned.folder.head()
            except ValueError as error:
                raise UnreadableResultError(planned.folder, "run.json", error) from error
            if record is not None:
                yield _Trained(planned.run, record)


def _of_others(plan: Plan, root: Path) -> Iterator[_Trained]:
    """The newest records that the plan does not ask for. One that cannot be read is not needed either."""
    own = {planned.folder.path.name for planned in plan.runs}
    others = [path for path in root.glob("*/run.json") if path.parent.name not in own]
    for path in sorted(others, key=_modified, reverse=True)[:_NEWEST]:
        try:
            record = RunFolder(path.parent).record()
        except (OSError, ValueError):
            continue
        if record is not None:
            yield _Trained(record.run, record)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def as_here(record: RunHead, site: Site) -> bool:
    """Whether a run was made on such devices, and in such a precision, as the site gives to runs."""
    on_gpu = "cpu" not in record.environment.device.casefold()
    return on_gpu == bool(site.gpus_per_run) and record.environment.precision == site.precision


def _means(found: Mapping[str, list[_Trained]]) -> dict[str, Speed]:
    return {
        kind: Speed(
            seconds=sum(own.record.train_seconds / own.run.training.steps for own in trained) / len(trained),
            source="recorded",
            where=", ".join(sorted({own.record.environment.device for own in trained})),
        )
        for kind, trained in found.items()
    }


def _measured(kinds: Mapping[str, Iterable[PlannedRun]], site: Site, most: int, progress: Progress) -> dict[str, Speed]:
    """Those with the most steps to do first."""
    if not can_measure(site):
        return {}
    ordered = sorted(kinds, key=lambda kind: -sum(planned.steps_left for planned in kinds[kind]))[:most]
    began, found = time.monotonic(), dict[str, Speed]()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU of this machine"
    for i, kind in enumerate(ordered):
        if time.monotonic() - began > _MOST_PROBE_S:
            break
        progress(i, len(ordered))
        try:
            seconds = probe(next(iter(kinds[kind])).run, site)
        except torch.OutOfMemoryError:  # then it will not run here either, and its time stays unknown
            continue
        found[kind] = Speed(seconds=seconds, source="measured", where=where)
    progress(len(ordered), len(ordered))
    return found
