"""What a person sees of work that goes on: bars with counts, rates, time left; plain lines without a terminal."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fsar_core.config import RunConfig
from sweeps.engine.records import Point, RunFolder
from sweeps.engine.tracking import Tracking, TrackingError

_LINE_EVERY_S = 10.0
_TRACKED_EVERY_S = 5.0
"""Between two looks of a run at MLflow, which takes as long for one look as for many."""


class Display:
    """Bars on a terminal; elsewhere a line every ten seconds."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._lines: dict[str, float] = {}

    @contextmanager
    def shown(self) -> Generator[None]:
        """Bars appear within it."""
        with self._bars:
            yield

    def counting(self, name: str) -> Callable[[int, int], None]:
        """A bar that appears with the first count; for making, reading and decoding videos."""
        task, began, first = None, 0.0, 0

        def count(done: int, total: int) -> None:
            nonlocal task, began, first
            if task is None:
                task, began, first = self._bars.add_task(name, total=total, note=""), time.monotonic(), done
            rate = (done - first) / max(time.monotonic() - began, 1e-9)
            self._bars.update(task, completed=done, total=total, note=f"{rate:.1f}/s")
            left = f", {rate:.1f}/s, {(total - done) / rate / 60:.1f} min left" if rate else ""
            self._line(name, f"{name}: {done}/{total}{left}", last=done == total)

        return count

    def steps(self) -> "StepBar":
        """The bar of a plan or search."""
        return StepBar(self, self._bars)

    def line(self, name: str, text: str, *, last: bool) -> None:
        """On a terminal the bar says it."""
        self._line(name, text, last=last)

    def _line(self, name: str, text: str, *, last: bool) -> None:
        now = time.monotonic()
        if self.console.is_terminal or (not last and now - self._lines.get(name, 0.0) < _LINE_EVERY_S):
            return
        self._lines[name] = now
        self.console.print(text, highlight=False, soft_wrap=True)


class StepBar:
    """Optimiser steps over all runs."""

    def __init__(self, display: Display, bars: Progress) -> None:
        self._display, self._bars = display, bars
        self._task = bars.add_task("training", total=None, note="starting")
        self._began = time.monotonic()

    def update(self, steps: int, expected: int, runs: int, finished: int, running: int, failed: int) -> None:
        """``steps`` of ``expected`` optimiser steps are done since the start, ``finished`` of ``runs``."""
        rate = steps / max(time.monotonic() - self._began, 1e-9)
        failures = f", {failed} failed" if failed else ""
        note = f"steps, {rate:.1f}/s; runs: {finished}/{runs} done, {running} at work{failures}"
        self._bars.update(self._task, completed=steps, total=expected, note=note)
        left = f"{max(0, expected - steps) / rate / 60:.1f} min left" if steps else "time left not known yet"
        self._display.line("training", f"training: {steps}/{expected} {note}, {left}", last=finished + failed == runs)


class RunWatcher:
    """Tells the display and the tracking server what happens to runs."""

    def __init__(self, display: Display, tracking: Tracking, *, runs: int, steps: int) -> None:
        """``runs`` and ``steps`` are what is expected; runs that are stopped early take their steps off, runs beyond
        that number, as what points of a search need first, bring theirs."""
        self._bar = display.steps()
        self._tracking, self._expected, self._planned = tracking, steps, runs
        self._runs: dict[str, RunConfig] = {}
        self._from: dict[str, int] = {}
        self._reached: dict[str, int] = {}
        self._untold: dict[str, list[Point]] = {}
        self._told: dict[str, float] = {}
        self._shown = set[str]()
        self._at_work, self._finished, self.failed = set[str](), set[str](), set[str]()
        self._display, self.unrecorded = display, ""

    def started(self, run_key: str, run: RunConfig, step: int) -> None:
        if run_key not in self._runs and len(self._runs) == self._planned:
            self._planned += 1
            self._expected += run.training.steps - step
        self._runs[run_key] = run
        self._reached[run_key] = step
        self._told[run_key] = time.monotonic()
        self._from.setdefault(run_key, step)
        self._at_work.add(run_key)
        self._show()

    def stepped(self, run_key: str, step: int, points: list[Point]) -> None:
        self._reached[run_key] = max(step, self._reached[run_key])
        self._untold.setdefault(run_key, []).extend(points)
        if time.monotonic() - self._told[run_key] >= _TRACKED_EVERY_S:
            self._tell(run_key)
        self._show()

    def finished(self, run_key: str, folder: RunFolder, *, failed: bool) -> None:
        self._at_work.discard(run_key)
        (self.failed if failed else self._finished).add(run_key)
        if run_key in self._runs:
            self._expected -= self._runs[run_key].training.steps - self._reached[run_key]
        if folder.has_record() or (run_key not in self._shown and not failed):
            self._untold.pop(run_key, None)  # the record has them; what was stopped at once shows nothing by itself
        else:
            self._tell(run_key)
        self._record(lambda: self._tracking.record_run(run_key, folder))
        self._show()

    def _tell(self, run_key: str) -> None:
        points = self._untold.pop(run_key, [])
        if points:
            self._record(lambda: self._tracking.progress(run_key, self._runs[run_key], points))
            self._told[run_key] = time.monotonic()
            self._shown.add(run_key)

    def _record(self, action: Callable[[], object]) -> None:
        """Training does not stop for a tracking server that is away: the files hold everything, the end tries again."""
        if self.unrecorded:
            return
        try:
            action()
        except TrackingError as error:
            self.unrecorded = str(error)
            self._display.console.print(f"tracking stopped, training goes on: {error}", highlight=False, markup=False)

    def _show(self) -> None:
        done = sum(self._reached[key] - self._from[key] for key in self._reached)
        counts = (len(self._finished), len(self._at_work), len(self.failed))
        expected = max(self._expected, done)  # runs that points need first may be longer than what was planned
        self._bar.update(done, expected, self._planned, *counts)
