"""What happens to the runs of a plan or search, for the display and the tracking server."""

import time

from fsar_core.config import RunConfig
from sweeps.engine.recording import Recording
from sweeps.engine.records import Point, RunFolder
from sweeps.engine.tracking import Tracking
from sweeps.engine.watch import Display

_TRACKED_EVERY_S = 5.0
"""Between two looks of a run at MLflow, which takes as long for one look as for many."""


class RunWatcher:
    """Tells the display and the tracking server what happens to runs."""

    def __init__(self, display: Display, tracking: Tracking, recording: Recording, *, runs: int, steps: int) -> None:
        """``runs`` and ``steps`` are what is expected; runs that are stopped early take their steps off, runs beyond
        that number, as what points of a search need first, bring theirs."""
        self._bar = display.steps()
        self._tracking, self._recording = tracking, recording
        self._expected, self._planned = steps, runs
        self._runs: dict[str, RunConfig] = {}
        self._reached: dict[str, int] = {}
        self._done = 0
        """Steps, of all runs together, since they were first seen."""
        self._untold: dict[str, list[Point]] = {}
        self._told: dict[str, float] = {}
        self._shown = set[str]()
        self._at_work, self._finished, self.failed = set[str](), set[str](), set[str]()

    def started(self, run_key: str, run: RunConfig, step: int) -> None:
        if run_key not in self._runs and len(self._runs) == self._planned:
            self._planned += 1
            self._expected += run.training.steps - step
        self._runs[run_key] = run
        self._reach(run_key, step)
        self._told[run_key] = time.monotonic()
        self._at_work.add(run_key)
        self._show()

    def stepped(self, run_key: str, step: int, points: list[Point]) -> None:
        self._reach(run_key, max(step, self._reached[run_key]))
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
        self._recording.add(lambda: self._tracking.record_run(run_key, folder))
        self._show()

    def _tell(self, run_key: str) -> None:
        points = self._untold.pop(run_key, [])
        if points:
            run = self._runs[run_key]
            self._recording.add(lambda: self._tracking.progress(run_key, run, points))
            self._told[run_key] = time.monotonic()
            self._shown.add(run_key)

    def _reach(self, run_key: str, step: int) -> None:
        self._done += step - self._reached.get(run_key, step)
        self._reached[run_key] = step

    def _show(self) -> None:
        counts = (len(self._finished), len(self._at_work), len(self.failed))
        expected = max(self._expected, self._done)  # runs that points need first may be longer than what was planned
        self._bar.update(self._done, expected, self._planned, *counts)
