"""From run folders to the numbers of a table: one pass over the files, each read once even where cells share a run."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fsar_core.config import RunConfig
from search_spaces.table import Cell, Published, Table, is_backbone
from sweeps.engine.records import EvaluationRecord, RunFolder, RunHead, RunRecord, Store
from sweeps.engine.statistics.comparisons import holm
from sweeps.engine.statistics.intervals import Covers, Estimate, accuracy, difference, pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes

State = Literal["done", "pending", "failed"]


class Difference(NamedTuple):
    """Of a cell to the reference row of its column; a fraction."""

    mean: float
    ci95: float
    """Half width of the 95 % interval."""
    covers: Covers
    """``episodes`` where no row of the column has two seeds: then it is about these trained weights only."""
    p: float
    """Two-sided, of no difference; corrected (Holm) for the number of differences in the column."""


@dataclass(frozen=True, eq=False)
class SeedResult:
    """One seed of one cell."""

    seed: int
    state: State
    key: str
    """Of the run in the store and in MLflow."""
    folder: RunFolder
    eval_id: str
    record: EvaluationRecord | None
    trained: RunHead | None
    """None while the training is not finished, which may be long before the evaluation is."""
    accuracies: NDArray[np.float64] | None
    """(episodes,) fraction of the queries answered correctly in each episode."""

    @cached_property
    def run_record(self) -> RunRecord | None:
        """All of ``trained``, read when it is asked for. Raises UnreadableResultError where the rest is damaged."""
        try:
            return None if self.trained is None else self.folder.record()
        except ValueError as error:
            raise UnreadableResultError(self.folder, "run.json", error) from error


@dataclass(frozen=True, eq=False)
class CellResult:
    """A cell with all its seeds."""

    cell: Cell
    seeds: tuple[SeedResult, ...]

    @property
    def state(self) -> State:
        """``failed`` as soon as one seed failed, ``done`` when all are."""
        states = {seed.state for seed in self.seeds}
        return "failed" if "failed" in states else "pending" if "pending" in states else "done"

    @property
    def done(self) -> tuple[SeedResult, ...]:
        return tuple(seed for seed in self.seeds if seed.state == "done")

    @property
    def accuracy(self) -> float | None:
        """The mean over the finished seeds, a fraction."""
        return float(np.mean([s.record.accuracy for s in self.done if s.record])) if self.done else None

    @cached_property
    def ci95(self) -> float | None:
        """Over episodes, of their accuracies averaged over the finished seeds: every seed meets the same episodes.

        0 for a single episode.
        """
        found = self.outcomes([seed.seed for seed in self.done])
        return None if found is None else accuracy(found).literature95 if found.episodes > 1 else 0.0

    def outcomes(self, seeds: Collection[int]) -> Outcomes | None:
        """Of those of the finished seeds that are named; None without any."""
        found = [s.accuracies for s in self.done if s.seed in seeds and s.accuracies is not None]
        return Outcomes(np.stack(found)) if found else None

    @property
    def seed_sd(self) -> float | None:
        """Sample standard deviation of the seeds' accuracies; None for fewer than two finished seeds."""
        accuracies = [s.record.accuracy for s in self.done if s.record]
        return float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None

    @property
    def dataset(self) -> str:
        """On whose clips the cell is measured."""
        return self.cell.evaluation.dataset or self.cell.run.data.dataset

    @property
    def printed(self) -> Published | None:
        """The printed value that ours may be compared with: of this data set and backbone; case and punctuation do not
        count."""
        return next((value for value in self.cell.published if self._comparable(value)), None)

    def _comparable(self, printed: Published) -> bool:
        if self.cell.evaluation.split == "val":
            return False
        if printed.backbone is not None and not is_backbone(self.cell.run.method.backbone.label(), printed.backbone):
            return False
        if printed.trained is not None and _known_as(printed.trained) != _known_as(self.cell.run.data.dataset):
            return False
        return _known_as(printed.dataset) == _known_as(self.dataset, self.cell.evaluation.max_seconds)

    @property
    def printed_minus_ours(self) -> float | None:
        """As a fraction. None unless all seeds are done and both numbers come from the same data set."""
        if self.printed is None or self.accuracy is None or self.state != "done":
            return None
        return self.printed.percent / 100 - self.accuracy


@dataclass(frozen=True, eq=False)
class TableResult:
    """All cells of a table, in its order."""

    table: Table
    seeds: tuple[int, ...]
    fingerprints: Mapping[str, str]
    """By data set, of those that the cells are trained or tested on."""
    cells: tuple[CellResult, ...]

    @cached_property
    def _places(self) -> dict[tuple[str, str], CellResult]:
        return {(result.cell.row, result.cell.column): result for result in self.cells}

    def at(self, row: str, column: str) -> CellResult | None:
        """None where the table has no such cell."""
        return self._places.get((row, column))

    def column(self, column: str) -> tuple[CellResult, ...]:
        return self._columns.get(column, ())

    @cached_property
    def _columns(self) -> dict[str, tuple[CellResult, ...]]:
        found: dict[str, list[CellResult]] = {}
        for result in self.cells:
            found.setdefault(result.cell.column, []).append(result)
        return {column: tuple(results) for column, results in found.items()}

    def difference(self, result: CellResult) -> Difference | None:
        """Cell minus reference row of its column: paired by episode, averaged over the seeds both have.

        None for the reference itself, without a common finished seed, and where the two met other episodes.
        """
        return self._differences.get((result.cell.row, result.cell.column))

    @cached_property
    def _differences(self) -> dict[tuple[str, str], Difference]:
        found: dict[tuple[str, str], Difference] = {}
        for column in dict.fromkeys(result.cell.column for result in self.cells):
            estimates = self._estimates(column)
            adjusted = holm([own.p() for own in estimates.values()])
            for (row, own), p in zip(estimates.items(), adjusted, strict=True):
                found[row, column] = Difference(own.value, own.half_width(), own.covers, p)
        return found

    def _estimates(self, column: str) -> dict[str, Estimate]:
        """By row. Few seeds tell little of a row's spread over seeds, so that the rows of a column share theirs."""
        reference = None if self.table.reference is None else self.at(self.table.reference, column)
        if reference is None:
            return {}
        alike = [r for r in self.column(column) if _episodes(r.cell) == _episodes(reference.cell)]
        rows = [row.outcomes(self.seeds) for row in alike]
        spread = pooled_spread(row for row in rows if row is not None)
        found: dict[str, Estimate] = {}
        for result in alike:
            common = {seed.seed for seed in result.done} & {seed.seed for seed in reference.done}
            ours, theirs = result.outcomes(common), reference.outcomes(common)
            if result is not reference and ours is not None and theirs is not None:
                found[result.cell.row] = difference(ours, theirs, spread)
        return found

    @property
    def state(self) -> State:
        """``pending`` while there is something left to run, then ``failed`` or ``done``."""
        states = {result.state for result in self.cells}
        return "pending" if "pending" in states else "failed" if "failed" in states else "done"


class UnreadableResultError(Exception):
    """A result file is damaged."""

    def __init__(self, folder: RunFolder, what: str, reason: object) -> None:
        super().__init__(
            f"results must be readable, but {what} in {folder.path} is not: {reason}; "
            "remove the damaged files and launch again: what is missing is done anew"
        )


def collect(table: Table, seeds: Sequence[int], store: Store, fingerprints: Mapping[str, str]) -> TableResult:
    """Reads what is recorded of a table; ``fingerprints``, by name, must know all its data sets.

    Raises UnreadableResultError for a damaged file; missing ones are pending.
    """
    return collect_all((table,), seeds, store, fingerprints)[0]


def collect_all(
    tables: Iterable[Table], seeds: Sequence[int], store: Store, fingerprints: Mapping[str, str]
) -> tuple[TableResult, ...]:
    """As ``collect``; what tables share is read once."""
    reader = _Reader(store, fingerprints)
    return tuple(_collected(table, tuple(seeds), reader) for table in tables)


def _collected(table: Table, seeds: tuple[int, ...], reader: "_Reader") -> TableResult:
    cells = tuple(CellResult(cell, tuple(reader.seed(cell, seed) for seed in seeds)) for cell in table.cells)
    named = {name for cell in cells for name in (cell.cell.run.data.dataset, cell.dataset)}
    return TableResult(table, seeds, {name: reader.fingerprints[name] for name in sorted(named)}, cells)


class _Run(NamedTuple):
    key: str
    folder: RunFolder
    trained: RunHead | None
    failed: bool


class _Reader:
    """Remembers what it has read."""

    def __init__(self, store: Store, fingerprints: Mapping[str, str]) -> None:
        self.store, self.fingerprints = store, fingerprints
        self.runs: dict[str, _Run] = {}
        self.measured: dict[tuple[str, str], tuple[EvaluationRecord, NDArray[np.float64]] | None] = {}

    def seed(self, cell: Cell, seed: int) -> SeedResult:
        config = cell.run.with_seed(seed)
        run, eval_id = self.run(config), cell.evaluation.eval_id(config)
        place = (run.key, eval_id)
        if place not in self.measured:
            fingerprint = self.fingerprints[cell.evaluation.dataset or config.data.dataset]
            self.measured[place] = self._read(run.folder, eval_id, fingerprint)
        found = self.measured[place]
        state: State = "done" if found else "failed" if run.failed else "pending"
        record, accuracies = found or (None, None)
        return SeedResult(seed, state, run.key, run.folder, eval_id, record, run.trained, accuracies)

    def run(self, config: RunConfig) -> _Run:
        fingerprint = self.fingerprints[config.data.dataset]
        key = self.store.key(config, fingerprint)
        if key not in self.runs:
            folder = self.store.folder_of(key)
            try:
                self.runs[key] = _Run(key, folder, folder.head(), folder.failure() is not None)
            except ValueError as error:
                raise UnreadableResultError(folder, "run.json or failure.json", error) from error
        return self.runs[key]

    def _read(
        self, folder: RunFolder, eval_id: str, fingerprint: str
    ) -> tuple[EvaluationRecord, NDArray[np.float64]] | None:
        try:
            record = folder.evaluation(eval_id, fingerprint)
            if record is None:
                return None
            correct = folder.outcomes(eval_id, fingerprint)
        except (OSError, ValueError) as error:  # pyarrow's and pydantic's errors are ValueErrors
            raise UnreadableResultError(folder, f"evaluation {eval_id}", error) from error
        if len(correct) != record.evaluation.episodes:
            reason = f"{record.evaluation.episodes} outcomes expected, {len(correct)} found"
            raise UnreadableResultError(folder, f"evaluation {eval_id}", reason)
        return record, correct / (record.evaluation.way * record.evaluation.queries)


def _episodes(cell: Cell) -> tuple[object, ...]:
    """What fixes the episodes, next to the data's fingerprint."""
    e = cell.evaluation
    return e.dataset or cell.run.data.dataset, e.split, e.max_seconds, e.way, e.shot, e.queries, e.episodes, e.seed


def _known_as(dataset: str, max_seconds: float | None = None) -> str:
    """The papers' "Kinetics" is the few-shot subset of 100 classes, their "SSv2-3s" the short clips of SSv2-Full."""
    plain = _plain(dataset)
    if max_seconds is not None:
        return f"{plain.removesuffix('full')}{max_seconds:g}s"
    return "kinetics100" if plain == "kinetics" else plain


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
