"""What is wrong with schedules beyond their file: sites, data sets, this machine, plans."""

import os
import shutil
from collections.abc import Callable, Mapping
from typing import TypeVar

from rich.console import Console

from sweeps.engine.doctor_places import disks
from sweeps.engine.schedules import Schedule
from sweeps.engine.site import BadRequest, Site, load_site
from sweeps.engine.watch import Display

T = TypeVar("T")


def sites_of(schedules: Mapping[str, Schedule]) -> dict[str, Site]:
    """By schedule. Raises BadRequest with the faults of all, and with data sets that a site does not have."""
    return _all(schedules, _site)


def fit_sites_of(schedules: Mapping[str, Schedule]) -> dict[str, Site]:
    """As ``sites_of``, for reruns on this machine: faults are also disks that cannot be written or are full, and
    programs of alerts that are not there. Makes nothing."""

    def site(schedule: Schedule) -> Site:
        faults = _program_faults(schedule)
        try:
            found = _site(schedule)
        except BadRequest as refusal:
            raise BadRequest([*refusal.faults, *faults]) from refusal
        faults += [f"{own.what}: {own.told}; {own.todo}" for own in disks(found) if own.level == "fail"]
        if faults:
            raise BadRequest(faults)
        return found

    return _all(schedules, site)


def missing_here(schedules: Mapping[str, Schedule]) -> list[str]:
    """Variables of webhooks that this process does not have; a server that is started elsewhere may."""
    return [
        f"schedules.{name}: the environment variable {schedule.alert_webhook} must hold an http or https URL where "
        "reruns are started (alert_webhook); here it does not"
        for name, schedule in schedules.items()
        if schedule.alert_webhook and not os.environ.get(schedule.alert_webhook, "").startswith(("http://", "https://"))
    ]


def check_plans(schedules: Mapping[str, Schedule], console: Console) -> dict[str, str]:
    """By schedule, what its plan takes of the budget; those without one are opened all the same.

    Raises BadRequest with the faults of all.
    """
    from sweeps.engine.schedules_budget import within_budget
    from sweeps.engine.schedules_tables import prepared_tables

    display = Display(console)

    def words(schedule: Schedule) -> str:
        prepared, tables = prepared_tables(schedule, display)
        if schedule.budget_gpu_hours is None:
            return "no budget"
        return within_budget(prepared, tables, schedule.budget_gpu_hours, display, fresh=schedule.fresh)

    with display.shown():
        return _all(schedules, words)


def _site(schedule: Schedule) -> Site:
    found = load_site(schedule.site)
    if schedule.dataset is not None:
        found.place(schedule.dataset)
    return found


def _program_faults(schedule: Schedule) -> list[str]:
    if not schedule.alert_command or shutil.which(schedule.alert_command[0]):
        return []
    program = schedule.alert_command[0]
    return [
        f"alert_command must begin with a program that is found here; got {program!r}: install it, or give its path"
    ]


def _all(schedules: Mapping[str, Schedule], look: Callable[[Schedule], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    faults: list[str] = []
    for name, schedule in schedules.items():
        try:
            found[name] = look(schedule)
        except BadRequest as refusal:
            faults += [f"schedules.{name}: {fault}" for fault in refusal.faults]
    if faults:
        raise BadRequest(faults)
    return found
