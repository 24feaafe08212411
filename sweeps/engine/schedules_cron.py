"""Times of a schedule: five cron fields, of one meaning for APScheduler, cron, systemd and Kubernetes, and a time zone,
whose changes of clocks each of them treats in its own way."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from apscheduler.triggers.cron import CronTrigger

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM = re.compile(r"(?P<all>\*)(?:/(?P<every>\d+))?|(?P<first>\w+)(?:-(?P<last>\w+)(?:/(?P<step>\d+))?)?", re.ASCII)
_BACK_H = (1, 25, 8 * 24, 32 * 24, 367 * 24, 9 * 366 * 24)
"""Looked back for the newest fire time; between two 29ths of February lie up to eight years."""


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    words: Sequence[str] = ()
    """For ``least`` and on."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, WEEKDAYS),
)


@dataclass(frozen=True)
class Cron:
    """When something is due. Values are None where any will do."""

    minutes: tuple[int, ...] | None
    hours: tuple[int, ...] | None
    days: tuple[int, ...] | None
    months: tuple[int, ...] | None
    weekdays: tuple[int, ...] | None
    """From Monday, 0."""
    zone: str

    def trigger(self) -> CronTrigger:
        """Of APScheduler."""
        weekdays = None if self.weekdays is None else [WEEKDAYS[day] for day in self.weekdays]
        fields = (self.minutes, self.hours, self.days, self.months, weekdays)
        text = " ".join("*" if own is None else ",".join(map(str, own)) for own in fields)
        return CronTrigger.from_crontab(text, timezone=ZoneInfo(self.zone))

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Fire times after ``moment``, for ever, in the schedule's zone. What lies in the hour that a clock repeats in
        autumn comes twice."""
        trigger = self.trigger()
        while True:
            later = moment.astimezone(UTC) + timedelta.resolution  # in UTC: a sum of local times forgets which hour
            following = trigger.get_next_fire_time(None, later)
            if following is None:
                return
            moment = following
            yield moment

    def due(self, now: datetime) -> datetime:
        """The newest fire time that is not after ``now``."""
        for hours in _BACK_H:
            newest: datetime | None = None
            for found in self.after(now - timedelta(hours=hours)):
                if found > now:
                    break
                newest = found
            if newest is not None:
                return newest
        raise AssertionError("a cron expression that was found good fires at least every eight years")


def read_cron(text: str, zone: str) -> Cron:
    """Raises ValueError with all faults, a line each."""
    parts = text.split()
    faults = zone_faults(zone)
    values: list[tuple[int, ...] | None] = []
    if len(parts) != len(_FIELDS):
        names = ", ".join(own.name for own in _FIELDS)
        faults.insert(0, f"cron must have five fields ({names}), such as '0 3 * * mon-fri'; got {text!r}")
    else:
        for field, part in zip(_FIELDS, parts, strict=True):
            try:
                values.append(_values(field, part))
            except ValueError as error:
                faults.append(f"cron {text!r}: {error}")
    if len(values) == len(_FIELDS):
        faults += _together(text, *values[2:])
    if faults:
        raise ValueError("\n".join(faults))
    return Cron(*values, zone=zone)


def zone_faults(zone: str) -> list[str]:
    """Why a name is no time zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(zone, available_timezones(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        return [f"time_zone {zone!r} is not known{hint} Name one of the IANA list, such as UTC or Europe/Berlin"]
    return []


def _together(text: str, days: Sequence[int] | None, months: Sequence[int] | None, weekdays: object) -> list[str]:
    if days is not None and weekdays is not None:
        return [
            f"cron {text!r}: days of the month together with weekdays mean either of them to cron and Kubernetes, both "
            "of them to others; make one of the two *"
        ]
    if days is not None and all(_DAYS[month - 1] < min(days) for month in months or range(1, 13)):
        return [f"cron {text!r}: there is no such day in these months, so that it would never be due"]
    return []


def _values(field: _Field, text: str) -> tuple[int, ...] | None:
    if text == "*":
        return None
    found: set[int] = set()
    for part in text.split(","):
        item = _ITEM.fullmatch(part)
        if item is None:
            raise ValueError(f"{field.name} must be *, a, a-b, */n or a-b/n, or several with commas; got {part!r}")
        if item["all"]:
            first, last = field.least, field.most
        else:
            first = _number(field, item["first"])
            last = _number(field, item["last"]) if item["last"] else first
        step = int(item["every"] or item["step"] or 1)
        if last < first or not 1 <= step <= field.most:
            raise ValueError(f"{field.name}: {part!r} must go upwards, in steps of 1 to {field.most}")
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def _number(field: _Field, text: str) -> int:
    if text.lower() in field.words:
        return field.words.index(text.lower()) + field.least
    if field.name == "weekday":
        if text.isdecimal():
            raise ValueError(
                f"weekday: 0 is Sunday for some programs and Monday for others, so that only names are taken "
                f"({', '.join(WEEKDAYS)}); got {text!r}"
            )
        raise ValueError(f"weekday must be of {', '.join(WEEKDAYS)}; got {text!r}")
    if not text.isdecimal() or not field.least <= int(text) <= field.most:
        raise ValueError(f"{field.name} must be from {field.least} to {field.most}; got {text!r}")
    return int(text)
