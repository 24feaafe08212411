"""Why a cell stands as it does: for every seed its place, its progress, what went wrong, and what to do."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from fsar_core.checkpoint import checkpoint_step
from sweeps.engine.failures import Failure, Kind
from sweeps.engine.find_cell import cell_name
from sweeps.engine.import_words import imported_from
from sweeps.engine.moments import ago, length, utc
from sweeps.engine.newest_checkpoint import of_newest
from sweeps.engine.printable import printable
from sweeps.engine.records import EvaluationRecord, RunFolder
from sweeps.engine.results import CellResult, SeedResult, TableResult
from sweeps.engine.retry import last_failure
from sweeps.engine.run_log import LOG, last_lines

_LOG_LINES = 20
_TRACE_LINES = 12
_SLACK_MS = 10_000
"""The failure itself is logged a moment after it is kept."""
_MEND: dict[Kind, str] = {
    "oom": "give each run more memory in the site file (a greater gpus_per_run, or recompute = 'always'), then",
    "disk": "make room or mend the disk that the traceback names (`fsar doctor`), then",
    "preempted": "its checkpoints are kept, it goes on from the newest one:",
    "bug": "mend what the traceback names, then",
    "needs": "mend the run that it needs; both are tried again by",
}
_STYLE = {"done": "bold green", "pending": "bold yellow", "failed": "bold red"}


def explain(result: TableResult, cell: CellResult, *, full: bool, flags: str = "") -> RenderableType:
    """For a terminal. ``full``: the whole traceback, not only its end. ``flags``: what the commands that it names need.

    Raises UnreadableResultError for a damaged failure.
    """
    head = Text.assemble((cell_name(result, cell), "bold"), "  ", (cell.state, _STYLE[cell.state]))
    return Group(head, *(_Seed(result, cell, seed, full=full, flags=flags).shown() for seed in cell.seeds))


class _Seed:
    """One seed of one cell, in words."""

    def __init__(self, result: TableResult, cell: CellResult, seed: SeedResult, *, full: bool, flags: str) -> None:
        self._result, self._cell, self._seed, self._full = result, cell, seed, full
        self._named = " ".join(part for part in (result.table.name, flags) if part)
        self._run, self._folder = cell.cell.run.with_seed(seed.seed), seed.folder
        self._failure = last_failure(seed.folder) if seed.state == "failed" else None
        self._now = time.time_ns() // 1_000_000

    def shown(self) -> RenderableType:
        seed = self._seed
        state = f"failed: {self._failure.kind}" if self._failure else seed.state
        head = Text.assemble(f"seed {seed.seed}  ", (state, _STYLE[seed.state]))
        parts: list[RenderableType] = [_pairs(self._facts())]
        if self._failure:
            parts += self._trace(self._failure)
        if seed.state != "done":
            parts += _block(f"last lines of {LOG}", last_lines(self._folder.path, _LOG_LINES))
            parts.append(_pairs([("to do", self._to_do())], style="bold"))
        return Group("", head, Padding(Group(*parts), (0, 0, 0, 2), expand=False))

    def _facts(self) -> Iterator[tuple[str, str]]:
        seed = self._seed
        yield "run", self._run.run_id()
        yield "folder", str(self._folder.path)
        if seed.run_record is not None:
            record = seed.run_record
            yield "trained", f"{record.environment.host}, {record.environment.device}, code {record.origin.git_commit}"
            resumed = f", taken up again {len(record.resumed_at)} times" if record.resumed_at else ""
            took = f"{record.train_seconds:.0f} s of training{resumed}"
            yield "time", f"{utc(record.started_ms)} to {utc(record.ended_ms)}, {took}"
            yield "steps", f"{self._run.training.steps}, the weights of step {record.best_step} count"
        brought = imported_from(seed)
        if brought is not None:
            yield "imported", f"with {brought}"
        if self._failure:
            yield from _failed(self._failure)
            yield from self._taken_up(self._failure)
        if seed.run_record is None:
            yield "step", self._progress()
        if seed.record is not None:
            yield from self._measured(seed.record)

    def _taken_up(self, failure: Failure) -> Iterator[tuple[str, str]]:
        """A failure is kept until the run succeeds, also while it is tried again."""
        log = self._folder.path / LOG
        written = log.stat().st_mtime_ns // 1_000_000 if log.exists() else 0
        if failure.time_ms is not None and written > failure.time_ms + _SLACK_MS:
            yield "since then", f"it was taken up again; last line of its log {ago(written, self._now)}"

    def _measured(self, record: EvaluationRecord) -> Iterator[tuple[str, str]]:
        number = f"{100 * record.accuracy:.2f} ± {100 * record.ci95:.2f} %"
        yield "accuracy", f"{number} over {record.evaluation.episodes} episodes, measured in {record.seconds:.1f} s"
        file = self._folder.outcomes_path(self._seed.eval_id, record.fingerprint).with_suffix(".json")
        yield "from", str(file.relative_to(self._folder.path))

    def _progress(self) -> str:
        steps, newest = self._run.training.steps, of_newest(self._folder.checkpoints, _step_and_time)
        reached = self._failure.step if self._failure else None
        if newest is None:
            return f"{reached or 0} of {steps}, no checkpoint"
        kept, saved = newest
        return f"{max(reached or 0, kept)} of {steps}; the newest checkpoint is of step {kept}, {ago(saved, self._now)}"

    def _trace(self, failure: Failure) -> list[RenderableType]:
        lines = failure.traceback.splitlines()
        shown = lines if self._full else lines[-_TRACE_LINES:]
        above = f" (its end; --full shows {len(lines) - len(shown)} more lines)" if len(shown) < len(lines) else ""
        return [*_block(f"traceback{above}", shown), _pairs(self._failed_needs(failure))]

    def _failed_needs(self, failure: Failure) -> Iterator[tuple[str, str]]:
        for key in failure.needs:
            own = last_failure(RunFolder(self._folder.path.parent / key))
            why = "which has no failure any more" if own is None else f"which failed ({own.kind}): {own.reason()}"
            yield "needs", f"{key}, {why}"

    def _to_do(self) -> str:
        failure, table = self._failure, self._named
        if failure is not None:
            again = f"; it failed {failure.attempts} times in this way" if failure.attempts > 1 else ""
            return f"{_MEND[failure.kind]} `fsar retry {table} --only {failure.kind}`{again}"
        lacking = self._lacking()
        if lacking:
            return f"`fsar run {table}` trains first what it needs: {', '.join(lacking)}"
        return f"`fsar run {table}` {'measures it' if self._seed.run_record else 'trains and measures it'}"

    def _lacking(self) -> list[str]:
        """Runs whose weights it needs and that are not trained; they lie beside it, under keys that are made alike."""
        end = self._seed.key.removeprefix(self._run.run_id())
        end = end.removeprefix(f"-{self._result.fingerprints[self._run.data.dataset]}")
        prints = self._result.fingerprints
        keys = [f"{need.run.run_id()}-{prints[need.run.data.dataset]}{end}" for need in self._run.needs]
        return [key for key in keys if not (self._folder.path.parent / key / "run.json").exists()]


def _step_and_time(checkpoint: Path) -> tuple[int, int]:
    """The time in ms."""
    return checkpoint_step(checkpoint), checkpoint.stat().st_mtime_ns // 1_000_000


def _failed(failure: Failure) -> Iterator[tuple[str, str]]:
    place = ", ".join(part for part in (failure.host, failure.device) if part)
    yield "where", f"{place or 'not known'}, code {failure.git_commit or 'not known'}"
    if failure.time_ms is not None:
        began = failure.started_ms
        took = "" if began is None else f", {length((failure.time_ms - began) / 1000)} after its start at {utc(began)}"
        yield "failed", f"{utc(failure.time_ms)}{took}"


def _block(title: str, lines: list[str]) -> list[RenderableType]:
    if not lines:
        return []
    body = Text("\n".join(printable(line) for line in lines))
    return [Text(title, style="dim"), Padding(body, (0, 0, 0, 2), expand=False)]


def _pairs(pairs: Iterable[tuple[str, str]], style: str = "") -> RenderableType:
    grid = RichTable.grid(padding=(0, 1, 0, 0))
    grid.add_column(style="dim", width=10)
    grid.add_column(style=style, overflow="fold")
    for name, text in pairs:
        grid.add_row(name, Text(printable(text)))
    return grid
