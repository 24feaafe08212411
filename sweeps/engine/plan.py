"""From cells to work: distinct runs, each with its evaluations and the runs it needs first, less what is recorded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fsar_core.checkpoint import checkpoint_step, latest_checkpoint
from fsar_core.config import EvalConfig, RunConfig
from search_spaces.table import Cell
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.results import UnreadableResultError


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One training with everything that hangs on it."""

    run: RunConfig
    key: str
    folder: RunFolder
    evaluations: tuple[EvalConfig, ...]
    missing: tuple[EvalConfig, ...]
    """Evaluations that are not recorded."""
    needs: tuple[str, ...]
    """For each need of the run, in its order, the key of the run that makes the weights."""
    trained: bool
    steps_left: int
    """Optimiser steps after the newest checkpoint; 0 when trained."""

    @property
    def done(self) -> bool:
        """Trained, and every evaluation is recorded."""
        return self.trained and not self.missing


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Distinct runs, those that others need first before them."""

    runs: tuple[PlannedRun, ...]
    cells: int
    """Cells times seeds asked for."""
    fingerprints: Mapping[str, str]
    """By data set; where runs need instance masks, theirs too (``masks_key``)."""

    def todo(self) -> tuple[PlannedRun, ...]:
        """The runs that lack something."""
        return tuple(run for run in self.runs if not run.done)

    def complete(self) -> bool:
        """Whether everything is recorded."""
        return not self.todo()

    def evaluations(self) -> int:
        """Distinct ones, over all runs."""
        return sum(len(run.evaluations) for run in self.runs)

    def evaluations_known(self) -> int:
        """Those that are recorded."""
        return sum(len(run.evaluations) - len(run.missing) for run in self.runs)


def asked(cells: Iterable[Cell], seeds: Iterable[int]) -> list[tuple[RunConfig, EvalConfig | None]]:
    """Every cell under every seed."""
    seeds = tuple(seeds)
    return [(cell.run.with_seed(seed), cell.evaluation) for cell in cells for seed in seeds]


def make_plan(
    wanted: Iterable[tuple[RunConfig, EvalConfig | None]], store: Store, fingerprints: Mapping[str, str]
) -> Plan:
    """``None`` asks for a training alone. ``fingerprints`` must know every data set of the runs and evaluations.

    Raises UnreadableResultError for a damaged record.
    """
    runs: dict[str, RunConfig] = {}
    evaluations: dict[str, dict[str, EvalConfig]] = {}
    cells = 0
    for run, evaluation in wanted:
        cells += 1
        key = _with_needs(run, store, fingerprints, runs)
        if evaluation is not None:
            evaluations.setdefault(key, {})[evaluation.eval_id(run)] = evaluation
    planned = tuple(
        _planned(run, key, store, fingerprints, tuple(evaluations.get(key, {}).values())) for key, run in runs.items()
    )
    return Plan(runs=planned, cells=cells, fingerprints=fingerprints)


def _with_needs(run: RunConfig, store: Store, fingerprints: Mapping[str, str], runs: dict[str, RunConfig]) -> str:
    key = store.key(run, fingerprints[run.data.dataset])
    if key not in runs:
        for need in run.needs:
            _with_needs(need.run, store, fingerprints, runs)
        runs[key] = run
    return key


def _planned(
    run: RunConfig, key: str, store: Store, fingerprints: Mapping[str, str], evaluations: tuple[EvalConfig, ...]
) -> PlannedRun:
    fingerprint = fingerprints[run.data.dataset]
    folder = store.folder(run, fingerprint)
    try:
        trained = folder.record() is not None
        missing = tuple(
            evaluation
            for evaluation in evaluations
            if folder.evaluation(evaluation.eval_id(run), fingerprints[evaluation.dataset or run.data.dataset]) is None
        )
    except ValueError as error:
        raise UnreadableResultError(folder, "a record", error) from error
    return PlannedRun(
        run=run,
        key=key,
        folder=folder,
        evaluations=evaluations,
        missing=missing,
        needs=tuple(store.key(need.run, fingerprints[need.run.data.dataset]) for need in run.needs),
        trained=trained,
        steps_left=0 if trained else run.training.steps - steps_done(folder),
    )


def steps_done(folder: RunFolder) -> int:
    """Optimiser steps of the newest checkpoint."""
    checkpoint = latest_checkpoint(folder.checkpoints)
    return 0 if checkpoint is None else checkpoint_step(checkpoint)
