"""How far tables have come, for a terminal and as plain values."""

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.moments import ago
from sweeps.engine.plan import Plan
from sweeps.engine.results import TableResult
from sweeps.engine.standing import Standing, standings

_BAR = 10


def status(results: Sequence[TableResult], plan: Plan, now_ms: int | None = None) -> RenderableType:
    """A line per table, and one for all. ``plan`` holds all runs of the results; ``now_ms`` is Unix time."""
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    tables, total = standings(results, plan)
    lines = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("table", "cells done", "pending", "failed", "trained", "begun", "steps", "last change"):
        counts = head in ("pending", "trained", "begun", "steps")
        justify = "right" if counts else "left"
        lines.add_column(head, justify=justify, no_wrap=head != "failed", overflow="fold", min_width=len(head))
    for name, own in tables.items():
        lines.add_row(*_line(name, own, now))
    if len(tables) > 1:
        lines.add_row(*_line(f"all {len(tables)} tables", total, now), style="bold")
    return Group(lines, *_notes(tables, total))


def status_json(results: Sequence[TableResult], plan: Plan) -> dict[str, object]:
    """The same numbers; moments are Unix time."""
    tables, total = standings(results, plan)
    return {"tables": {name: own.as_json() for name, own in tables.items()}, "total": total.as_json()}


def _line(name: str, own: Standing, now_ms: int) -> list[Text]:
    failed = ", ".join(f"{count} {kind}" for kind, count in own.failed.items())
    return [
        Text(name),
        Text.assemble(
            (_bar(own.done, own.cells), "green" if own.done == own.cells else ""), f" {own.done}/{own.cells}"
        ),
        Text(str(own.pending or "–")),
        Text(failed or "–", style="red" if failed else ""),
        Text(f"{own.trained}/{own.trainings}"),
        Text(str(own.begun or "–")),
        Text(f"{_percent(own.steps_done, own.steps)} %"),
        Text("–" if own.active_ms is None else ago(own.active_ms, now_ms)),
    ]


def _notes(tables: dict[str, Standing], total: Standing) -> list[Text]:
    notes: list[str] = []
    shared = sum(own.trainings for own in tables.values()) - total.trainings
    if shared:
        notes.append(f"the last line counts trainings that tables share once: {shared} fewer than the lines above")
    if total.failed:
        kinds = ", ".join(total.failed)
        notes.append(f"`fsar why CELL` says why a cell failed; `fsar retry --only KIND` tries again: {kinds}")
    return [Text(note, style="dim") for note in notes]


def _bar(done: int, of: int) -> str:
    filled = _BAR * done // of
    return "█" * filled + "░" * (_BAR - filled)


def _percent(done: int, of: int) -> int:
    """Rounded down: 100 only where all is done."""
    return 100 * done // of
