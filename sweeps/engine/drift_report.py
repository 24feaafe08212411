"""What a drift check says, as one value: every page, the terminal and alerts are made from it."""

from fsar_core.frozen import Frozen
from sweeps.engine.drift_changes import Change
from sweeps.engine.drift_judging import Standing, Verdict
from sweeps.engine.statistics.reproduction import Verdict as PrintedVerdict


class Point(Frozen):
    """A cell in one rerun."""

    slot: str
    mean: float
    """Over its seeds, a fraction."""
    seeds: int
    counts: bool
    """Whether later reruns are compared with it."""


class DriftCell(Frozen):
    """A cell, or the mean over a table, in the rerun that is checked. Accuracies are fractions."""

    table: str
    row: str
    column: str
    standing: Standing
    value: float
    seeds: tuple[int, ...]
    reruns: int
    """Earlier ones behind the band."""
    centre: float | None
    """Mean over the earlier seeds; with the three below None where there is no band."""
    low: float | None
    high: float | None
    p: float | None
    """Of an honest rerun, two-sided, of this cell alone."""
    lacks: tuple[str, ...]
    printed: float | None
    against_printed: PrintedVerdict | None
    """Of the rerun's seeds alone; None where no printed value may be compared with."""
    series: tuple[Point, ...]
    """All reruns that measured it on these test episodes, up to this one."""

    @property
    def name(self) -> str:
        return ", ".join(part for part in (self.row, self.column) if part)


class RerunVerdict(Frozen):
    """A rerun of the series."""

    slot: str
    verdict: Verdict
    counts: bool


class Report(Frozen):
    """Of one rerun."""

    schedule: str
    slot: str
    verdict: Verdict
    says: str
    """The verdict in a sentence."""
    false_alarms: float
    """Share of honest reruns of which any cell leaves its band."""
    cells: tuple[DriftCell, ...]
    since: str | None
    """Slot of the last rerun that was fine, which ``changes`` start from; None where there is none."""
    changes: tuple[Change, ...]
    same: str
    """Whether trainings that were repeated gave the very same numbers; empty where none was."""
    notes: tuple[str, ...]
    """What a reader must know, and what to do."""
    reruns: tuple[RerunVerdict, ...]
    """Oldest first, this one last."""
    git_commit: str
    tracking_run: str
    """MLflow's id of the rerun's parent run."""

    def tables(self) -> dict[str, tuple[DriftCell, ...]]:
        """Cells by table."""
        names = dict.fromkeys(cell.table for cell in self.cells)
        return {name: tuple(cell for cell in self.cells if cell.table == name) for name in names}
