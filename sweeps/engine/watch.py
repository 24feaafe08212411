"""What a person sees of work that goes on: bars with counts, rates, time left; plain lines without a terminal."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LINE_EVERY_S = 10.0


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
