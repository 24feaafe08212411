"""Times of schedules: what is refused, and that all schedulers fire at the same moments."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger

from sweeps.engine.schedules_cron import Cron, read_cron

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def times(cron: Cron, after: datetime = NOON, count: int = 3) -> list[str]:
    return [f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" for moment in islice(cron.after(after), count)]


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("0 3 * * *", "UTC", ["2026-11-22 03:00", "2026-11-23 03:00", "2026-11-24 03:00"]),
        ("0 3 * * mon-fri", "Europe/Berlin", ["2026-11-23 02:00", "2026-11-24 02:00", "2026-11-25 02:00"]),
        ("30 2 * * SUN", "America/New_York", ["2026-11-22 07:30", "2026-11-29 07:30", "2026-12-06 07:30"]),
        ("*/20 12 * * *", "UTC", ["2026-11-21 12:20", "2026-11-21 12:40", "2026-11-22 12:00"]),
        ("0 0 29 feb *", "UTC", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
    ],
)
def test_fire_times_are_those_of_the_zone(text: str, zone: str, expected: list[str]) -> None:
    assert times(read_cron(text, zone)) == expected


def test_a_time_within_a_second_is_not_passed_over_and_one_that_is_now_does_not_come_again() -> None:
    night = read_cron("0 3 * * *", "UTC")
    due = datetime(2026, 11, 22, 3, tzinfo=UTC)
    assert next(night.after(due - timedelta(milliseconds=500))) == due
    assert next(night.after(due - timedelta.resolution)) == due
    assert next(night.after(due)) == due + timedelta(days=1)
    assert next(night.after(due + timedelta.resolution)) == due + timedelta(days=1)


@pytest.mark.parametrize("text", ["*/7 */5 * * *", "5-50/15 1,13 1-7 * *", "0 6 * 2-4,10 tue,sat-sun", "59 23 31 12 *"])
def test_the_moments_are_those_of_apscheduler(text: str) -> None:
    theirs = CronTrigger.from_crontab(text, timezone=ZoneInfo("Europe/Berlin"))
    moment, expected = NOON, list[str]()
    for _ in range(50):
        found = theirs.get_next_fire_time(None, moment + timedelta(seconds=1))
        assert found is not None
        moment = found
        expected.append(f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}")
    assert times(read_cron(text, "Europe/Berlin"), count=50) == expected


@pytest.mark.parametrize("text", ["0 3 * * *", "* * * * *", "0 0 29 2 *", "15 4 1 */6 *", "0 9 * * mon"])
def test_the_newest_due_time_is_the_one_before_the_next(text: str) -> None:
    cron = read_cron(text, "Europe/Berlin")
    due = cron.due(NOON)
    assert due <= NOON
    following = next(cron.after(due))
    assert following > NOON
    assert cron.due(due) == due


def test_an_hour_that_the_clock_skips_comes_later_and_one_that_it_repeats_comes_twice() -> None:
    night = read_cron("30 2 * * *", "Europe/Berlin")
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert times(night, spring) == ["2026-03-29 01:30", "2026-03-30 00:30", "2026-03-31 00:30"]
    assert times(night, autumn) == ["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-26 01:30"]
    assert night.due(autumn + timedelta(days=3)) == datetime(2026, 10, 27, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "parts"),
    [
        ("0 3 * *", "UTC", ["cron must have five fields", "got '0 3 * *'"]),
        ("0 3 * * 1", "UTC", ["only names are taken (mon, tue", "got '1'"]),
        ("0 3 1 * mon", "UTC", ["make one of the two *"]),
        ("0 0 31 feb,apr *", "UTC", ["there is no such day in these months"]),
        (
            "60 24 0 13 foo",
            "UTC",
            ["minute must be from 0 to 59", "hour must", "month must", "weekday must", "got '0'"],
        ),
        ("0 3 * * mon/2", "UTC", ["weekday must be *, a, a-b"]),
        ("0 3 * * fri-mon", "UTC", ["must go upwards"]),
        ("*/0 3 * * *", "UTC", ["in steps of 1 to 59"]),
        ("0 3 L * *", "UTC", ["day of the month must be from 1 to 31; got 'L'"]),
        ("0 3 * * *", "Europe/Berlim", ["did you mean 'Europe/Berlin'?"]),
        ("0 3 * * *", "../../etc/passwd", ["is not known"]),
        ("61 3 * * *", "Mars", ["minute must be from 0 to 59", "time_zone 'Mars' is not known"]),
    ],
)
def test_what_is_wrong_is_said_in_one_go(text: str, zone: str, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the parts are what matters
        read_cron(text, zone)
    assert [part for part in parts if part not in str(refusal.value)] == []
