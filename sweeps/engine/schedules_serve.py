"""The server of schedules: APScheduler with a store that outlives it. Each rerun is a process of its own."""

import logging
import signal
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.schedulers.blocking import BlockingScheduler

from sweeps.engine.reruns import slot_of
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_cut_short import keep_taking_up, take_up_cut_short
from sweeps.engine.schedules_fire import say
from sweeps.engine.schedules_slots import mark_left_out, storage_held
from sweeps.engine.schedules_store import open_store, take_up
from sweeps.engine.site import Site

_LOOK_S = 30.0
"""A computer that slept does not notice by itself what became due meanwhile."""


def serve(file: Path, schedules: Mapping[str, Schedule], sites: Mapping[str, Site], store: str) -> None:
    """Until a signal ends it; reruns at work then go on. ``store``: URI of a database. ``sites``: by schedule.

    Raises BadRequest for a store that cannot be used.
    """
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what matters is said here
    own = open_store(store)
    with storage_held(min(site.storage for site in sites.values())):
        lines = take_up(own, file, schedules, sites, datetime.now(UTC))
    for line in lines:
        say(line)
    for name, schedule in schedules.items():
        take_up_cut_short(file, name, schedule, sites[name])
    scheduler = scheduler_of(open_store(store), schedules, sites)
    previous = signal.signal(signal.SIGTERM, _end)
    stopped = threading.Event()
    threading.Thread(target=_wake, args=(scheduler, stopped), daemon=True).start()
    looking = (file, schedules, sites, stopped)
    threading.Thread(target=keep_taking_up, args=looking, daemon=True).start()
    try:
        scheduler.start()
    finally:
        stopped.set()
        scheduler.shutdown(wait=False)
        signal.signal(signal.SIGTERM, previous)


def scheduler_of(
    store: BaseJobStore, schedules: Mapping[str, Schedule], sites: Mapping[str, Site]
) -> BlockingScheduler:
    """Starts what the store says when it is due. What comes too late is kept as left out."""
    scheduler = BlockingScheduler(jobstores={"default": store}, timezone=UTC)

    def missed(event: JobExecutionEvent) -> None:
        name, slot = event.job_id, slot_of(event.scheduled_run_time)
        if name in sites:
            said = f"nothing was there to start it in time (missed = {schedules[name].missed})"
            mark_left_out(sites[name], name, slot, "missed", said)
            say(f"{name} {slot} is left out: {said}")

    def failed(event: JobExecutionEvent) -> None:
        say(f"{event.job_id} {slot_of(event.scheduled_run_time)} could not be started: {event.exception}")

    scheduler.add_listener(missed, EVENT_JOB_MISSED)
    scheduler.add_listener(failed, EVENT_JOB_ERROR)
    return scheduler


def _wake(scheduler: BlockingScheduler, stopped: threading.Event) -> None:
    while not stopped.wait(_LOOK_S):
        scheduler.wakeup()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
