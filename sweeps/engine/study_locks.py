"""One driver per study, whatever its storage: the lock is where the study is."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from sweeps.engine.credentials import hide_credentials
from sweeps.engine.locks import sweep_locks
from sweeps.engine.search_study import reaching_studies
from sweeps.engine.site import BadRequest

_EVERY = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_ALIVE = {**_EVERY, "options": " ".join(f"-c tcp_{name}={value}" for name, value in _EVERY.items())}
"""Both ends ask after each other: the lock of a machine that is gone ends within a minute, and no firewall takes the
connection for a dead one."""


@contextmanager
def study_locks(uri: str, names: Iterable[str]) -> Generator[None]:
    """A second driver of any of these studies is refused at once, also one of another machine with a storage of its
    own. Beside a SQLite file the locks are files; those of PostgreSQL are its own, and end with the connection.

    Raises BadRequest where a study is taken, or the database is of another kind or cannot be reached.
    """
    with reaching_studies(uri):
        url = make_url(uri)
    if url.get_backend_name() == "sqlite":
        with sweep_locks(Path(url.database or "").absolute().parent, (f"study/{name}" for name in names)):
            yield
        return
    if url.get_backend_name() != "postgresql":
        fault = f"studies must be in SQLite or PostgreSQL, which have locks; got {hide_credentials(uri)}"
        raise BadRequest([f"{fault}; name another study_uri in the site file"])
    with _connected(url, uri) as connection:
        with reaching_studies(uri):
            taken = [name for name in sorted(names) if not _lock(connection, name)]
        if taken:
            whose = f"in {hide_credentials(uri)}, on this or another machine; wait for it or stop it"
            raise BadRequest([f"another driver runs the study {name!r} {whose}" for name in taken])
        yield


@contextmanager
def _connected(url: URL, uri: str) -> Generator[Connection]:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_ALIVE)
    with reaching_studies(uri):
        connection = engine.connect()
    try:
        yield connection
    finally:
        with suppress(SQLAlchemyError):  # the database may be gone by now, and the locks with it
            connection.close()


def _lock(connection: Connection, name: str) -> bool:
    """Whether it is this connection's now. PostgreSQL numbers locks: 64 bits with a sign."""
    key = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
    return connection.scalar(select(func.pg_try_advisory_lock(key))) is True
