"""One driver per study on a PostgreSQL that several storages share."""

from collections.abc import Generator

import pytest
from sqlalchemy import make_url, text

from sweeps.engine.site import BadRequest
from sweeps.engine.study_locks import _connected, study_locks  # pyright: ignore[reportPrivateUsage] - how it asks
from tests.e2e.postgres import PASSWORD, Postgres, postgres


@pytest.fixture
def database() -> Generator[Postgres]:
    with postgres() as own:
        yield own


def test_a_study_has_one_driver_whatever_its_storage(database: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    uri = database.create("studies").replace("://", "+psycopg://")
    with study_locks(uri, ["joint/a", "joint/b"]):
        with study_locks(uri, ["joint/c"]):
            pass
        with pytest.raises(BadRequest, match=r"another driver runs the study 'joint/b'"), study_locks(uri, ["joint/b"]):
            pass
    with study_locks(uri, ["joint/b"]):
        (held,) = database.sql("studies", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert held == "1"
        database.kill()
    database.start()
    with _connected(make_url(uri), uri) as connection:
        assert connection.scalar(text("SHOW tcp_keepalives_idle")) == "30"
    with study_locks(uri, ["joint/b"]):
        pass
