"""How a plan's report is printed."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sweeps.engine.moments import about
from sweeps.engine.plan_report import PlanReport
from sweeps.engine.savings import Effort

_SHOWN = 40
"""Tables in the list; the totals hold all."""


def terminal(report: PlanReport, width: int) -> RenderableType:
    """For a terminal of so many columns."""
    parts: list[RenderableType] = []
    if len(report.tables) > 1:
        parts.append(_tables(report, width))
    parts += [_totals(report), Text(), _savings(report), Text()]
    return Group(*parts, *(Text(f"{line}.", style="dim") for line in report.sources))


def _tables(report: PlanReport, width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("table", overflow="fold", max_width=max(16, width - 60))
    for name in ("cells", "trainings", "known", "shared", "tests", "known"):
        table.add_column(name, justify="right", no_wrap=True)
    for own in report.tables[:_SHOWN]:
        numbers = (own.cells, own.trainings, own.trainings_known, own.trainings_shared)
        table.add_row(own.name, *map(_count, (*numbers, own.evaluations, own.evaluations_known)))
    if len(report.tables) > _SHOWN:
        table.add_row(f"and {len(report.tables) - _SHOWN} more")
    return table


def _totals(report: PlanReport) -> Table:
    total = report.totals
    runs = f"{total.at_once} run{'s' * (total.at_once != 1)} at a time"
    where = (
        runs
        if total.gpus is None or total.gpu_hours is None
        else f"{total.gpus:g} GPU{'s' * (total.gpus != 1)}, {runs}"
    )
    least = "at least " if total.unknown or total.tests_unknown else ""
    texts = {
        "cells": f"{_count(total.cells)} with seeds",
        "trainings": f"{_count(total.trainings)}: {_count(total.trainings_known)} known, "
        f"{_count(total.trainings_begun)} begun; {_count(total.trainings_first)} are needed by others first, "
        f"{_count(total.trainings_shared)} shared by tables",
        "tests": f"{_count(total.evaluations)}: {_count(total.evaluations_known)} known; "
        f"{_count(total.cells - total.evaluations)} cells take their number from another cell's test",
        "to do": f"{_count(total.steps_left)} steps, {least}{about(total.seconds)} of runs"
        + ("" if total.gpu_hours is None else f", {total.gpu_hours:,.1f} GPU-hours"),
        "wall clock": f"{least}{about(total.wall_seconds)} with {where}",
        "memory": _memory(report),
        "disk": _disk(report),
    }
    counts = {"time": (total.unknown, "trainings"), "matching": (total.tests_unknown, "tests")}
    unknown = [f"the {what} of {_count(count)} {whose}" for what, (count, whose) in counts.items() if count]
    if unknown:
        texts["unknown"] = f"{', '.join(unknown)}; no sum above holds it"
    return lines(texts)


def _memory(report: PlanReport) -> str:
    total = report.totals
    if total.memory_bytes is None:
        return "not counted" if total.memory_uncounted else "nothing is left to train"
    left = f"; {total.memory_uncounted} kinds of trainings not counted" if total.memory_uncounted else ""
    return f"{_size(total.memory_bytes)} for the largest step, on a card of 24 GB: {total.memory_verdict}{left}"


def _disk(report: PlanReport) -> str:
    total = report.totals
    frames = "frames not known" if total.frame_bytes is None else f"{_size(total.frame_bytes)} of frames to decode"
    return f"{_size(total.disk_bytes)} of checkpoints and records, {frames}"


def _savings(report: PlanReport) -> Table:
    own = report.savings
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("what sharing saves")
    for name in ("trainings", "tests", "clips embedded", "training", "testing"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("table by table, each test embeds anew", *_effort(own.table_by_table))
    table.add_row("this plan", *_effort(own.together), style="bold")
    return table


def _effort(effort: Effort) -> tuple[str, ...]:
    clips = "?" if effort.clips is None else _count(effort.clips)
    testing = "?" if effort.clip_seconds is None else about(effort.clip_seconds + effort.matching_seconds)
    return _count(effort.trainings), _count(effort.evaluations), clips, about(effort.training_seconds), testing


def lines(texts: Mapping[str, str]) -> Table:
    """A line for each text, behind its name."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in texts.items():
        table.add_row(name, text)
    return table


def _count(number: int) -> str:
    return f"{number:,}"


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 1 << 30 else f"{count / 2**30:,.1f} GiB"
