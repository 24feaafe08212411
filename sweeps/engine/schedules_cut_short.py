"""Reruns that began and did not come to their end, killed or without MLflow: the newest of a schedule goes on."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sweeps.engine.reruns import slot_moment
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_fire import is_running, say, start
from sweeps.engine.schedules_slots import cut_short, mark_left_out
from sweeps.engine.site import Site

_LOOK_S = 600.0


def take_up_cut_short(file: Path, name: str, schedule: Schedule, site: Site) -> None:
    """Starts the newest, where the schedule says so and its grace has not passed. The others are left out."""
    found = cut_short(site, name)
    folder = site.storage / "reruns" / name
    oldest = datetime.now(UTC) - timedelta(minutes=schedule.grace_minutes)
    goes_on = bool(found) and schedule.missed == "run" and slot_moment(found[-1]) >= oldest
    for slot in found[:-1] if goes_on else found:
        why = f"missed = {schedule.missed}, grace {schedule.grace_minutes} minutes"
        said = f"it was cut short ({'a newer slot is taken up instead' if goes_on else why})"
        mark_left_out(site, name, slot, "cut short", said)
        say(f"{name} {slot} is left as it is: {said}")
    if goes_on and not is_running(found[-1], folder):
        say(f"{name} {found[-1]} was cut short and is taken up (missed = run)")
        start(str(file), name, found[-1], folder)


def keep_taking_up(
    file: Path, schedules: Mapping[str, Schedule], sites: Mapping[str, Site], stopped: threading.Event
) -> None:
    """Looks every ten minutes until ``stopped``. An error is said, and keeps neither other schedules nor the next look
    from being taken up."""
    while not stopped.wait(_LOOK_S):
        for name, schedule in schedules.items():
            try:
                take_up_cut_short(file, name, schedule, sites[name])
            except Exception as error:
                say(f"{name}: what was cut short cannot be taken up now: {error}")
