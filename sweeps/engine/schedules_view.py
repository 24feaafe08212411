"""What a person sees of schedules: when they are due, and what became of their slots."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sweeps.engine.moments import length
from sweeps.engine.reruns import find_rerun, slot_moment
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_slots import left_out, slots, state
from sweeps.engine.site import Site


def listed(schedules: Mapping[str, Schedule], sites: Mapping[str, Site], now: datetime) -> Table:
    """A line per schedule. ``sites``: by schedule."""
    table = _table("schedule", "runs", "when", "next", "last", "done")
    for name, schedule in schedules.items():
        known = slots(sites[name], name)
        done = sum(state(sites[name], name, slot) == "done" for slot in known)
        last = _last(sites[name], name, known[-1], schedule) if known else "never"
        soon = next(schedule.times().after(now))
        how = ", fresh" if schedule.fresh else ""
        what = f"{schedule.what()}, {schedule.seeds} seed{'s' * (schedule.seeds > 1)}{how}"
        when = f"{schedule.cron} {schedule.time_zone}"
        table.add_row(name, what, when, f"{_clock(soon)}, in {_until(soon, now)}", last, f"{done} of {len(known)}")
    return table


def fire_times(schedules: Mapping[str, Schedule], count: int, now: datetime) -> Table:
    """The next of each, as the clock of its zone shows them and as slots are named."""
    table = _table("schedule", "due", "in", "slot (UTC)")
    for name, schedule in schedules.items():
        for moment in islice(schedule.times().after(now), count):
            due = f"{_clock(moment)} {moment.tzname()}"
            table.add_row(name, due, _until(moment, now), f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    return table


def next_words(schedule: Schedule, now: datetime, count: int = 3) -> str:
    """The next times in a line."""
    times = [f"{moment:%a %Y-%m-%d %H:%M}" for moment in islice(schedule.times().after(now), count)]
    return f"{', '.join(times)} ({schedule.time_zone})"


def _last(site: Site, name: str, slot: str, schedule: Schedule) -> str:
    """The newest slot and what became of it."""
    found, became = find_rerun(site, name, slot), state(site, name, slot)
    moment = slot_moment(slot).astimezone(ZoneInfo(schedule.time_zone))
    words = str(became or "named")
    if found is not None:
        words = f"{became}, {found.cells_done}/{found.cells} cells"
    missing = left_out(site, name, slot)
    if became == "left out" and missing is not None:
        words = f"left out: {missing.why}"
    return f"{_clock(moment)}, {words}"


def _clock(moment: datetime) -> str:
    return f"{moment:%a %Y-%m-%d %H:%M}"


def _until(moment: datetime, now: datetime) -> str:
    return length(max(0.0, (moment - now).total_seconds()))


def _table(*names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    fixed: Sequence[str] = ("schedule", "slot (UTC)", "due", "in")
    for name in names:
        table.add_column(name, no_wrap=name in fixed, overflow="fold")
    return table
