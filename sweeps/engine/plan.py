"""From cells to work: distinct runs, each with its evaluations and the runs it needs first, less what is recorded."""

from collections.abc import Iterable, Iterator, Mapping
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
    alone: bool = False
    """It was at work when a machine ran out of memory, and gets a node for itself."""

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

    Records are found, not read; whether they can be used shows where they are. Raises UnreadableResultError for one
    that has been cut.
    """
    planner = _Planner(store, fingerprints)
    cells = sum(planner.add(run, evaluation) for run, evaluation in wanted)
    return Plan(runs=tuple(planner.planned()), cells=cells, fingerprints=fingerprints)


class _Planner:
    """Gathers distinct runs and evaluations, then looks at what is recorded of each."""

    def __init__(self, store: Store, fingerprints: Mapping[str, str]) -> None:
        self._store, self._fingerprints = store, fingerprints
        self._runs: dict[str, RunConfig] = {}
        self._evaluations: dict[str, dict[str, EvalConfig]] = {}

    def add(self, run: RunConfig, evaluation: EvalConfig | None) -> int:
        """Gives the number of cells that this is."""
        key = self._key(run)
        if key not in self._runs:
            for need in run.needs:
                self.add(need.run, None)
            self._runs[key], self._evaluations[key] = run, {}
        if evaluation is not None:
            self._evaluations[key].setdefault(evaluation.eval_id(run), evaluation)
        return 1

    def planned(self) -> Iterator[PlannedRun]:
        return (self._planned(key, run) for key, run in self._runs.items())

    def _planned(self, key: str, run: RunConfig) -> PlannedRun:
        folder, evaluations = self._store.folder_of(key), self._evaluations[key]
        begun = folder.path.is_dir()
        try:
            trained = begun and folder.has_record()
            known = {
                eval_id
                for eval_id, own in evaluations.items()
                if begun and folder.has_evaluation(eval_id, self._fingerprints[own.dataset or run.data.dataset])
            }
        except ValueError as error:
            raise UnreadableResultError(folder, "a record", error) from error
        return PlannedRun(
            run=run,
            key=key,
            folder=folder,
            evaluations=tuple(evaluations.values()),
            missing=tuple(own for eval_id, own in evaluations.items() if eval_id not in known),
            needs=tuple(self._key(need.run) for need in run.needs),
            trained=trained,
            steps_left=0 if trained else run.training.steps - (steps_done(folder) if begun else 0),
        )

    def _key(self, run: RunConfig) -> str:
        return self._store.key(run, self._fingerprints[run.data.dataset])


def steps_done(folder: RunFolder) -> int:
    """Optimiser steps of the newest checkpoint."""
    checkpoint = latest_checkpoint(folder.checkpoints)
    return 0 if checkpoint is None else checkpoint_step(checkpoint)
