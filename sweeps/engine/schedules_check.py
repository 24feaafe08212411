"""What is wrong with schedules beyond their file: sites, data sets, plans."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from rich.console import Console

from sweeps.engine.schedules import Schedule
from sweeps.engine.site import BadRequest, Site, load_site
from sweeps.engine.watch import Display

T = TypeVar("T")


def sites_of(schedules: Mapping[str, Schedule]) -> dict[str, Site]:
    """By schedule. Raises BadRequest with the faults of all, and with data sets that a site does not have."""

    def site(schedule: Schedule) -> Site:
        found = load_site(schedule.site)
        if schedule.dataset is not None:
            found.place(schedule.dataset)
        return found

    return _all(schedules, site)


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
