"""One driver per study, whatever its storage: the lock is where the study is."""

from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager

from sqlalchemy import func, select
from sqlalchemy.engine import Connection, make_url

from sweeps.engine.credentials import hide_credentials
from sweeps.engine.locks import sweep_locks
from sweeps.engine.search_study import reaching_studies
from sweeps.engine.site import BadRequest
from sweeps.engine.study_storage import connected, lock_number, locks_beside


@contextmanager
def study_locks(uri: str, names: Iterable[str]) -> Generator[None]:
    """A second driver of any of these studies is refused at once, also one of another machine with a storage of its
    own. Beside a SQLite file the locks are files; those of PostgreSQL are its own, and end with the connection.

    Raises BadRequest where a study is taken, or the database is of another kind or cannot be reached.
    """
    with reaching_studies(uri):
        url = make_url(uri)
    if url.get_backend_name() == "sqlite":
        with sweep_locks(locks_beside(url), (f"study/{name}" for name in names)):
            yield
        return
    if url.get_backend_name() != "postgresql":
        fault = f"studies must be in SQLite or PostgreSQL, which have locks; got {hide_credentials(uri)}"
        raise BadRequest([f"{fault}; name another study_uri in the site file"])
    with ExitStack() as stack:
        with reaching_studies(uri):
            connection = stack.enter_context(connected(url))
            taken = [name for name in sorted(names) if not _lock(connection, name)]
        if taken:
            whose = f"in {hide_credentials(uri)}, on this or another machine; wait for it or stop it"
            raise BadRequest([f"another driver runs the study {name!r} {whose}" for name in taken])
        yield


def _lock(connection: Connection, name: str) -> bool:
    """Whether it is this connection's now."""
    return connection.scalar(select(func.pg_try_advisory_lock(lock_number(name)))) is True
