"""The store of the server: which slot of each schedule comes next, also after a restart."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain, takewhile
from pathlib import Path

from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from sweeps.engine.credentials import hide_credentials, holds_password
from sweeps.engine.databases import BadDatabaseError, database
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_fire import FIRE
from sweeps.engine.site import BadRequest, Site

_ALIAS = "default"
"""APScheduler's name of a scheduler's only store, and of its only executor."""
_PROMPT_S = 60
"""A rerun that is not made up for may begin so late: a busy machine is no reason to leave it out."""
_BUSY_S = 60
"""Two servers on one SQLite file wait for each other at most so long."""


def store_uri(sites: Mapping[str, Site]) -> str:
    """Of a SQLite file in the storage that all schedules share. Raises BadRequest where they do not."""
    storages = {site.storage for site in sites.values()}
    if len(storages) > 1:
        places = ", ".join(sorted(map(str, storages)))
        raise BadRequest([f"the schedules use several storages ({places}); name a store for all of them with --store"])
    return f"sqlite:///{storages.pop() / 'schedules.db'}"


def open_store(uri: str) -> SQLAlchemyJobStore:
    """Jobs are stored as pickles: whoever can write to the store can run code in the server, so that a new file is for
    its owner alone. ``${NAME}`` in the URI stands for an environment variable. Raises BadRequest for a URI that holds a
    password or cannot be opened."""
    shown = hide_credentials(uri)
    if holds_password(uri):
        way = "write ${NAME} in its place, or set PGPASSWORD"
        raise BadRequest([f"--store {shown} must hold no password: others see it; {way}"])
    try:
        own = database(uri)
        waiting = {"timeout": _BUSY_S} if own.file else {}
        engine = create_engine(make_url(own.uri).set(password=own.password), connect_args=waiting)
        if own.file:
            own.file.parent.mkdir(parents=True, exist_ok=True)
            own.file.touch(mode=0o600)
        engine.connect().close()
    except BadDatabaseError as error:
        raise BadRequest([f"--store: {error}"]) from None
    except (SQLAlchemyError, ImportError, OSError) as error:
        reason = hide_credentials(str(error)).splitlines()[0]
        raise BadRequest([f"--store {shown} must be a database that can be opened: {reason}"]) from None
    return SQLAlchemyJobStore(engine=engine)


def stored(store: SQLAlchemyJobStore) -> dict[str, Job]:
    """What the store holds, by schedule. Nothing of it is started.

    No scheduler reads it: one that is shut down, even paused, lets what is due pass as done.
    """
    store.start(BackgroundScheduler(timezone=UTC), _ALIAS)
    return {job.id: job for job in store.get_all_jobs()}


def take_up(
    store: SQLAlchemyJobStore, file: Path, schedules: Mapping[str, Schedule], sites: Mapping[str, Site], now: datetime
) -> list[str]:
    """Makes the store hold these schedules and no others; gives what there is to say of it.

    What is due is kept where the times of a schedule are the same: else a restart would forget what was missed.
    """
    said: list[str] = []
    known = stored(store)
    for name in known.keys() - schedules.keys():
        store.remove_job(name)
        said.append(f"{name} is no longer in {file} and is forgotten")
    for name, schedule in schedules.items():
        before = known.get(name)
        same = before is not None and tuple(before.args[2:4]) == (schedule.cron, schedule.time_zone)
        due = before.next_run_time if before is not None and same else next(schedule.times().after(now))
        job = _job(file, name, schedule, sites[name], due)
        if before is None:
            store.add_job(job)
        else:
            store.update_job(job)
        said += _missed(name, schedule, due, now)
    return said


def _job(file: Path, name: str, schedule: Schedule, site: Site, due: datetime) -> Job:
    folder = site.storage / "reruns" / name
    return Job(
        BackgroundScheduler(timezone=UTC),
        id=name,
        name=name,
        func=FIRE,
        args=(str(file), name, schedule.cron, schedule.time_zone, str(folder)),
        kwargs={},
        trigger=schedule.times().trigger(),
        executor=_ALIAS,
        coalesce=True,
        max_instances=1,
        misfire_grace_time=60 * schedule.grace_minutes if schedule.missed == "run" else _PROMPT_S,
        next_run_time=due,
    )


def _missed(name: str, schedule: Schedule, due: datetime, now: datetime) -> list[str]:
    missed = list(takewhile(lambda moment: moment <= now, chain([due], schedule.times().after(due))))
    if not missed:
        return []
    slots = "1 slot" if len(missed) == 1 else f"{len(missed)} slots"
    return [f"{name}: no server was there for {slots} since {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC"]
