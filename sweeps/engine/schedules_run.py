"""One rerun: a schedule's tables through the engine that every sweep uses, once for each slot."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.console import Console

from sweeps.engine.request import Prepared
from sweeps.engine.reruns import Apart, Code, Rerun, find_rerun, fresh_site, rerun_folder, slot_moment, write
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_budget import within_budget
from sweeps.engine.schedules_facts import code, machines, numbers
from sweeps.engine.schedules_seeds import seeds_of
from sweeps.engine.schedules_slots import (
    begun,
    left_out,
    mark_begun,
    mark_left_out,
    schedule_held,
    schedule_waited_for,
    slot_held,
)
from sweeps.engine.schedules_tables import prepared_tables
from sweeps.engine.schedules_tracking import ParentRun, begin, end
from sweeps.engine.site import BadRequest, Site, load_site
from sweeps.engine.start import now_ms
from sweeps.engine.status import status
from sweeps.engine.sweep import Ended, address, completed, opened_tracking
from sweeps.engine.tracking import Tracking, TrackingError
from sweeps.engine.watch import Display


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A slot of a schedule that is to be run."""

    name: str
    schedule: Schedule
    slot: str
    fresh: bool
    """Train anew, also where the schedule does not say so. A slot that began so goes on so."""
    again: bool
    """Go on with a slot that came to its end without all numbers."""


class _Start(NamedTuple):
    """Of this process: the code on disk may change before the end."""

    at_ms: int
    code: Code


def run_slot(asked: Asked, console: Console) -> int:
    """The exit code. Whoever comes second finds the slot taken, or done, and starts nothing.

    Raises BadRequest; why a slot was refused is kept with it. That MLflow was not reached is told, and the slot can be
    run again.
    """
    site = load_site(asked.schedule.site)
    name, slot = asked.name, asked.slot
    with ExitStack() as held:
        if not held.enter_context(slot_held(site, name, slot)):
            _say(console, f"{name} {slot} is at work in another process, which goes on; nothing is started")
            return 0
        done = find_rerun(site, name, slot)
        if done is not None and not (asked.again and done.exit_code):
            hint = "" if done.exit_code == 0 else "; --again goes on with what has no number"
            _say(console, f"{name} {slot} is done: {done.cells_done} of {done.cells} cells{hint}")
            _say(console, "for another rerun give --slot now")
            return done.exit_code
        if not _is_alone(asked, site, held, console):
            return 0
        before, left = begun(site, name, slot), left_out(site, name, slot)
        resumed = before is not None and (left is None or left.why != "refused")
        if before is not None and before.fresh:
            asked = replace(asked, fresh=True)
        mark_begun(site, name, slot, fresh=asked.fresh)
        try:
            return _carried_out(asked, site, console, resumed=resumed)
        except BadRequest as refusal:
            mark_left_out(site, name, slot, "refused", *refusal.faults)
            raise
        except TrackingError as error:
            _say(console, f"{name} {slot} stopped: {error}")
            return 1


def _is_alone(asked: Asked, site: Site, held: ExitStack, console: Console) -> bool:
    """As ``overlap`` says where another slot of the schedule is at work."""
    if held.enter_context(schedule_held(site, asked.name)):
        return True
    if asked.schedule.overlap == "queue":
        _say(console, f"another rerun of {asked.name} is at work; {asked.slot} begins after it (overlap = queue)")
        held.enter_context(schedule_waited_for(site, asked.name))
        return True
    said = f"another rerun of {asked.name} is at work, so that {asked.slot} is left out (overlap = skip)"
    mark_left_out(site, asked.name, asked.slot, "overlap", said)
    _say(console, said)
    return False


def _carried_out(asked: Asked, site: Site, console: Console, *, resumed: bool) -> int:
    start, display = _Start(now_ms(), code()), Display(console)
    with display.shown():
        prepared, tables = prepared_tables(asked.schedule, display)
        seeds = seeds_of(asked.schedule, slot_moment(asked.slot), fresh=asked.fresh)
        prepared = replace(prepared, seeds=seeds)
        budget = asked.schedule.budget_gpu_hours
        if budget is not None and not resumed:
            _say(console, within_budget(prepared, tables, budget, display, fresh=asked.fresh))
        tracking = opened_tracking(prepared)
        parent = begin(tracking, asked.name, asked.schedule, asked.slot, start.code)
        if asked.fresh:
            apart = Apart(schedule=asked.name, slot=asked.slot, parent=parent.run_id)
            prepared = replace(prepared, site=fresh_site(site, asked.name, asked.slot), apart=apart)
        ended = completed(prepared, tables, display)
    rerun = _rerun(asked, prepared, ended, start, parent)
    trouble = _recorded(rerun, tracking, parent, ended)
    if trouble is not None:
        rerun = rerun.model_copy(update={"exit_code": 1})
    write(site, rerun)
    _show(rerun, ended, address(site, parent.link()), trouble, site, console)
    return rerun.exit_code


def _rerun(asked: Asked, prepared: Prepared, ended: Ended, start: _Start, parent: ParentRun) -> Rerun:
    cells = [cell for result in ended.results for cell in result.cells]
    complete = all(result.state == "done" for result in ended.results)
    return Rerun(
        schedule=asked.name,
        slot=asked.slot,
        storage=prepared.site.storage,
        tables=tuple(result.table.name for result in ended.results),
        script=asked.schedule.script,
        dataset=asked.schedule.dataset,
        preset=prepared.preset,
        seeds=prepared.seeds,
        fresh=asked.fresh,
        code=start.code,
        machines=machines(ended.results),
        fingerprints=dict(prepared.fingerprints()),
        cells=len(cells),
        cells_done=sum(cell.state == "done" for cell in cells),
        numbers=numbers(ended.results),
        started_ms=start.at_ms,
        ended_ms=now_ms(),
        exit_code=0 if complete else 1,
        tracking_run=parent.run_id,
    )


def _recorded(rerun: Rerun, tracking: Tracking, parent: ParentRun, ended: Ended) -> TrackingError | None:
    """What went wrong with MLflow."""
    if ended.trouble is not None:
        return ended.trouble
    try:
        end(tracking, parent, rerun, ended.results, [_relative(page) for page in ended.pages])
    except TrackingError as error:
        return error
    return None


def _relative(page: str) -> str:
    """The part of an address that MLflow's own pages can link to."""
    return page[page.index("#/") :] if "#/" in page else ""


def _show(rerun: Rerun, ended: Ended, page: str, trouble: TrackingError | None, site: Site, console: Console) -> None:
    console.print(status(ended.results, ended.sweep.plan))
    folder = rerun_folder(site, rerun.schedule, rerun.slot)
    _say(console, f"rerun   {rerun.schedule} {rerun.slot}: {rerun.cells_done} of {rerun.cells} cells")
    _say(console, f"files   {folder / 'rerun.json'}, {ended.sweep.folder('<table>')}/table.{{md,csv,tex,html}}")
    _say(console, f"MLflow  {page}")
    if trouble is not None:
        _say(console, f"not recorded in MLflow: {trouble}")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
