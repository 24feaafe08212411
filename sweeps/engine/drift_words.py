"""The parts that all forms of a drift report show, as texts."""

from collections.abc import Sequence

from sweeps.engine.drift_judging import LEAST_EPISODES, LEAST_RERUNS, LEAST_SEEDS
from sweeps.engine.drift_report import DriftCell, Report
from sweeps.engine.report import points
from sweeps.engine.reruns import slot_moment

BAD = {"regression", "suspicious"}
_HEADS = ("cell", "before %", "band %", "now %", "now − before", "verdict")
_PRINTED = "printed %"
VERDICT = _HEADS.index("verdict")


def title(report: Report) -> str:
    """Schedule, moment, verdict."""
    return f"Drift of {report.schedule}, rerun of {moment(report.slot)}: {report.verdict}"


def moment(slot: str) -> str:
    """A slot as people write it."""
    return f"{slot_moment(slot):%Y-%m-%d %H:%M:%S} UTC"


def heads(cells: Sequence[DriftCell]) -> tuple[str, ...]:
    """Of the columns; printed values only where there are some."""
    return (*_HEADS, _PRINTED) if any(cell.printed is not None for cell in cells) else _HEADS


def texts(cell: DriftCell, heads: Sequence[str]) -> tuple[str, ...]:
    """What stands under ``heads``."""
    before = band = apart = ""
    if cell.centre is not None and cell.low is not None and cell.high is not None:
        before, apart = f"{100 * cell.centre:.2f}", points(cell.value - cell.centre, 2)
        band = f"{100 * max(0.0, cell.low):.2f} to {100 * min(1.0, cell.high):.2f}"
    printed = "" if cell.printed is None else f"{100 * cell.printed:.2f}, {cell.against_printed}"
    own = (cell.name, before, band, f"{100 * cell.value:.2f}", apart, cell.standing, printed)
    return own[: len(heads)]


def changes(report: Report) -> list[tuple[str, ...]]:
    """Kind, what, before, after."""
    return [(change.kind, change.what, change.before, change.after) for change in report.changes]


def changes_head(report: Report) -> str:
    """Above ``changes``."""
    if report.since is None:
        return "There is no earlier rerun to tell changes from."
    what = "What changed since" if report.changes else "Code, data, libraries, hardware and recipes are those of"
    fine = any(own.slot == report.since and own.verdict == "fine" for own in report.reruns)
    which = "the last rerun that was fine" if fine else "the last rerun with nothing against it"
    return f"{what} {moment(report.since)}, {which}{':' if report.changes else '.'}"


def below(report: Report) -> list[str]:
    """Sentences that end every form."""
    lines = [report.same] if report.same else []
    lines += report.notes
    if any(cell.centre is not None for cell in report.cells):
        lines.append(
            "Before: mean of the earlier seeds. Band: where the mean of an honest rerun falls, told from the spread of "
            "earlier seeds and of earlier reruns on the same test episodes, for all cells together in "
            f"{100 - 100 * report.false_alarms:g} % of reruns. Suspicious: below it. Regression: below it in two "
            "reruns that follow each other."
        )
    else:
        lines.append(
            f"A band takes {LEAST_RERUNS} earlier reruns with their own trainings, {LEAST_SEEDS} different seeds among "
            f"them and {LEAST_EPISODES} test episodes."
        )
    if any(cell.printed is not None for cell in report.cells):
        lines.append(
            "Printed: against the seeds of this rerun alone, with a margin of one point; no part of the verdict."
        )
    return lines


def series(report: Report) -> str:
    """The reruns so far, by verdict, the newest last."""
    marks = {"fine": "·", "insufficient data": "–", "suspicious": "s", "regression": "R"}
    shown = report.reruns[-60:]
    line = "".join(marks[own.verdict] if own.counts or own.verdict != "fine" else "+" for own in shown)
    return f"reruns, newest last: {line}   (· fine, – insufficient data, + better, s suspicious, R regression)"
