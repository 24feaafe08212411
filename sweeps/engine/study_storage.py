"""The database of studies, whose tables are made by one driver at a time: Optuna's own making of them meets itself."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from sqlalchemy import NullPool, create_engine, func, select, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

_EVERY = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_ALIVE = {**_EVERY, "options": " ".join(f"-c tcp_{name}={value}" for name, value in _EVERY.items())}
"""Both ends ask after each other: the lock of a machine that is gone ends within a minute, and no firewall takes the
connection for a dead one."""
_WAIT_S = 60


def study_storage(uri: str) -> RDBStorage:
    """With tables of the version of this Optuna. Raises what Optuna and SQLAlchemy raise, and OSError, where the
    database or the folder of its file cannot be used."""
    with _alone(make_url(uri)):
        # A connection is tried before it is used: one from before a restart of the database is replaced.
        return RDBStorage(uri, engine_kwargs={"pool_pre_ping": True})


@contextmanager
def _alone(url: URL) -> Generator[None]:
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        lock = _held_beside(url)
        try:
            yield
        finally:
            lock.release()
    elif url.get_backend_name() == "postgresql":
        with connected(url) as connection:
            connection.execute(text(f"SET lock_timeout = '{_WAIT_S}s'"))
            connection.execute(select(func.pg_advisory_lock(lock_number("the tables of studies"))))
            yield
    else:
        yield


def _held_beside(url: URL) -> FileLock:
    """Not held where the file is there and its folder takes no lock: such a study can only be read."""
    lock = FileLock(locks_beside(url) / "locks" / "studies.lock", timeout=_WAIT_S)
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise
    except OSError:
        if not Path(url.database or "").is_file():
            raise
    return lock


@contextmanager
def connected(url: URL) -> Generator[Connection]:
    """To PostgreSQL, for locks, which end with it. Raises SQLAlchemyError or ImportError where that fails."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_ALIVE)
    connection = engine.connect()
    try:
        yield connection
    finally:
        with suppress(SQLAlchemyError):  # the database may be gone by now, and the locks with it
            connection.close()


def lock_number(name: str) -> int:
    """PostgreSQL numbers locks: 64 bits with a sign."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)


def locks_beside(url: URL) -> Path:
    """The folder of a SQLite file, where its locks are."""
    return Path(url.database or "").absolute().parent
