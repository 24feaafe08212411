"""One driver per study, of which the databases are files here; those of PostgreSQL are tested in tests/e2e."""

from pathlib import Path

import pytest

from sweeps.engine.site import BadRequest
from sweeps.engine.study_locks import study_locks


def test_a_study_has_one_driver_whatever_its_storage(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'studies.db'}"
    with study_locks(uri, ["joint/a", "joint/b"]):
        with study_locks(uri, ["joint/c"]):
            pass
        with pytest.raises(BadRequest, match="another driver runs 'study/joint/b'"), study_locks(uri, ["joint/b"]):
            pass
        with study_locks(f"sqlite:///{tmp_path / 'elsewhere' / 'studies.db'}", ["joint/a"]):
            pass
    with study_locks(uri, ["joint/b"]):
        pass


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("mysql://me:secret@lab/studies", r"must be in SQLite or PostgreSQL.*got mysql://\*\*\*@lab"),
        ("no address", "must be reachable and writable"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/studies", r"\*\*\*@127.0.0.1:1/studies must be reachable"),
    ],
)
def test_other_databases_are_refused(uri: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as refused, study_locks(uri, ["joint/a"]):
        pass
    assert "secret" not in str(refused.value)
