"""How far tables have come: counted from their results and the plan, and from the ages of files."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sweeps.engine.failures import KINDS, Kind
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.records import RunFolder
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.retry import last_failure
from sweeps.engine.run_log import LOG

_TOUCHED = (LOG, "checkpoints", "run.json", "evaluations", "failure.json")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Of one table, or of all."""

    cells: int
    done: int
    pending: int
    failed: Mapping[Kind, int]
    """Cells, by the way in which a training of theirs failed; of several ways, the one that most needs a person."""
    trainings: int
    """Distinct ones, those that others need included; a table that shares one counts it as well."""
    trained: int
    begun: int
    """With a checkpoint, but not trained."""
    steps: int
    """Optimiser steps of all trainings."""
    steps_done: int
    active_ms: int | None
    """When a file of a training last changed, in Unix time; None where there is none."""

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        own = {name: getattr(self, name) for name in ("cells", "done", "pending")}
        rest = {name: getattr(self, name) for name in ("trainings", "trained", "begun", "steps", "steps_done")}
        return {**own, "failed": dict(self.failed), **rest, "active_ms": self.active_ms}


def standings(results: Sequence[TableResult], plan: Plan) -> tuple[dict[str, Standing], Standing]:
    """Of each table by its name, and of all; there, what tables share counts once. ``plan`` holds all their runs.

    Raises UnreadableResultError for a damaged failure.
    """
    runs = {planned.key: planned for planned in plan.runs}
    kinds: dict[str, Kind] = {
        key: failure.kind
        for key, planned in runs.items()
        if not planned.done and (failure := last_failure(planned.folder)) is not None
    }
    active = {key: moment for key, planned in runs.items() if (moment := _active(planned.folder)) is not None}
    own = {result.table.name: _keys(result, runs) for result in results}
    cells = [cell for result in results for cell in result.cells]
    alone = {
        result.table.name: _standing(result.cells, own[result.table.name], runs, kinds, active) for result in results
    }
    return alone, _standing(cells, set[str]().union(*own.values()), runs, kinds, active)


def _keys(result: TableResult, runs: Mapping[str, PlannedRun]) -> set[str]:
    """Of the trainings of a table, and of all that these need."""
    found: set[str] = set()
    waiting = [seed.key for cell in result.cells for seed in cell.seeds]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += runs[key].needs
    return found


def _standing(
    cells: Sequence[CellResult],
    keys: Collection[str],
    runs: Mapping[str, PlannedRun],
    kinds: Mapping[str, Kind],
    active: Mapping[str, int],
) -> Standing:
    states = Counter(cell.state for cell in cells)
    failed = Counter(_worst(cell, kinds) for cell in cells if cell.state == "failed")
    own = [runs[key] for key in keys]
    left = sum(planned.steps_left for planned in own)
    steps = sum(planned.run.training.steps for planned in own)
    return Standing(
        cells=len(cells),
        done=states["done"],
        pending=states["pending"],
        failed={kind: failed[kind] for kind in KINDS if failed[kind]},
        trainings=len(own),
        trained=sum(planned.trained for planned in own),
        begun=sum(_is_begun(planned) for planned in own),
        steps=steps,
        steps_done=steps - left,
        active_ms=max((active[key] for key in keys if key in active), default=None),
    )


def _worst(cell: CellResult, kinds: Mapping[str, Kind]) -> Kind:
    own: set[Kind] = {kinds[seed.key] for seed in cell.seeds if seed.state == "failed" and seed.key in kinds}
    found: list[Kind] = [kind for kind in KINDS if kind in own]
    return found[0] if found else "bug"


def _is_begun(planned: PlannedRun) -> bool:
    return not planned.trained and planned.steps_left < planned.run.training.steps


def _active(folder: RunFolder) -> int | None:
    return max(_changed(folder), default=None)


def _changed(folder: RunFolder) -> Iterable[int]:
    for name in _TOUCHED:
        with suppress(FileNotFoundError):
            yield (folder.path / name).stat().st_mtime_ns // 1_000_000
