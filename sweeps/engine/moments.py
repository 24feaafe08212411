"""Moments as people read them."""

from datetime import UTC, datetime

_UNITS = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def utc(time_ms: int) -> str:
    """``2026-11-21 12:03:10 UTC``, of Unix time."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def length(seconds: float) -> str:
    """In the largest unit that fits: ``3 min``."""
    for unit, own in _UNITS:
        if seconds >= own:
            count = int(seconds // own)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return "0 s"


def ago(time_ms: int, now_ms: int) -> str:
    """``3 min ago``."""
    return f"{length((now_ms - time_ms) / 1000)} ago"


def about(seconds: float) -> str:
    """``12 min``, of what is only roughly known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
