"""The databases behind MLflow and Optuna: an SQLite file or PostgreSQL, with the password apart from the address."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.engine.credentials import MissingVariablesError, expanded, hide_credentials, holds_password

STORE = "MLFLOW_BACKEND_STORE_URI"
"""Environment variable, MLflow's own: the database of its server."""


class BadDatabaseError(ValueError):
    """An address that cannot be used; in words without its password."""


@dataclass(frozen=True)
class Database:
    """Where it is, and how it is reached."""

    uri: str
    """Without a password: it may be shown, and stand in a list of processes."""
    file: Path | None
    """Of SQLite, absolute."""
    password: str | None = field(default=None, repr=False)

    def environment(self) -> dict[str, str]:
        """What clients of PostgreSQL read beside ``uri``."""
        return {"PGPASSWORD": self.password} if self.password else {}

    def libpq(self) -> str:
        """``uri`` as PostgreSQL's own programs take it: without the name of a Python driver."""
        _, _, rest = self.uri.partition("://")
        return f"postgresql://{rest}"

    def is_same(self, other: "Database") -> bool:
        """Whether both are one database, by whatever driver."""
        return self.file == other.file if self.file or other.file else self.libpq() == other.libpq()

    def tables(self) -> list[str]:
        """Names, of a database that can be reached; none where a SQLite file is missing. Raises BadDatabaseError."""
        if self.file is not None and not self.file.exists():
            return []
        from sqlalchemy import create_engine, inspect
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import SQLAlchemyError

        try:
            url = make_url(self.uri) if self.file else make_url(self.uri).set(password=self.password)
            engine = create_engine(url)
            try:
                return sorted(inspect(engine).get_table_names())
            finally:
                engine.dispose()
        except ImportError as error:
            raise BadDatabaseError(f"PostgreSQL needs a driver ({error}): pip install 'fsar-sweeps[cluster]'") from None
        except SQLAlchemyError as error:
            told, shown = hide_credentials(str(error)).strip().splitlines(), hide_credentials(self.uri)
            raise BadDatabaseError(f"the database {shown} must be reachable, but: {told[0]}") from None


def database(uri: str, environment: Mapping[str, str] = os.environ) -> Database:
    """Of an address in which ``${NAME}`` stands for a variable. Raises BadDatabaseError."""
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(expanded(uri, environment))
    except MissingVariablesError as error:
        raise BadDatabaseError(f"the database {hide_credentials(uri)} {error}") from None
    except (ArgumentError, ValueError):
        raise BadDatabaseError(f"{hide_credentials(uri)!r} is no address of a database{_KINDS}") from None
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise BadDatabaseError(f"{uri!r} names no file, as sqlite:////home/me/fsar/mlflow.db does")
        file = Path(url.database).absolute()
        return Database(f"sqlite:///{file}", file)
    if url.get_backend_name() != "postgresql":
        raise BadDatabaseError(f"{hide_credentials(uri)!r} is neither SQLite nor PostgreSQL{_KINDS}")
    inside = url.query.get("password")
    query = {name: value for name, value in url.query.items() if name != "password"}
    own = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query)
    password = url.password or (inside if isinstance(inside, str) else None)
    return Database(own.render_as_string(hide_password=False), None, password and str(password))


def store_database(flag: str | None, default: Path, environment: Mapping[str, str] = os.environ) -> Database:
    """Of MLflow: as a flag says, else the environment, else the SQLite file ``default``. Raises as ``database``; a
    password may stand in the environment, but not in a flag, which everybody on the machine can read."""
    if flag is not None and holds_password(flag):
        way = "write ${NAME} in its place, or set PGPASSWORD or " + STORE
        raise BadDatabaseError(f"--store {hide_credentials(flag)} must hold no password: others see it; {way}")
    return database(flag or environment.get(STORE) or f"sqlite:///{default}", environment)


_KINDS = "; it must be sqlite:////path/mlflow.db, or postgresql://user@host:5432/name with the password in PGPASSWORD"
