"""One driver per study on a PostgreSQL that several storages share."""

from collections.abc import Generator

import pytest
from sqlalchemy import make_url, text

from sweeps.engine.search_held import held_study
from sweeps.engine.site import BadRequest
from sweeps.engine.study_locks import study_locks
from sweeps.engine.study_storage import connected, study_storage
from tests.e2e.postgres import PASSWORD, Postgres, postgres
from tests.together import together


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
    with connected(make_url(uri)) as connection:
        assert connection.scalar(text("SHOW tcp_keepalives_idle")) == "30"
    with study_locks(uri, ["joint/b"]):
        pass


def test_drivers_that_come_at_once_make_the_tables_once(database: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a search that only looks whether its study is there."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    made, looked = (database.create(name).replace("://", "+psycopg://") for name in ("made", "looked"))
    for storage in together(lambda: study_storage(made)):
        assert storage.get_all_studies() == []
        storage.engine.dispose()
    assert set(together(lambda: held_study(looked, "joint/a"))) == {None}
    for name in ("made", "looked"):
        assert database.sql(name, "SELECT COUNT(*) FROM version_info") == ["1"]
