"""Seeds of reruns: the same in all of them, or made from their slots."""

from datetime import UTC, datetime, timedelta

from sweeps.engine.schedules import Schedule

FIRST_SLOT = datetime.fromtimestamp(0, UTC) + timedelta(minutes=28_000_000)
"""Before any slot; so late that seeds are small."""
_SEEDS_APART = 100
"""At least the most seeds of a rerun; slots are at least a minute apart, so that no two share a seed."""


def seeds_of(schedule: Schedule, moment: datetime, *, fresh: bool) -> tuple[int, ...]:
    """Of the rerun that was due at ``moment``, ``FIRST_SLOT`` at the earliest."""
    apart = schedule.seed_start == "slot" and fresh
    first = (moment - FIRST_SLOT) // timedelta(minutes=1) * _SEEDS_APART if apart else 0
    return tuple(range(first, first + schedule.seeds))
