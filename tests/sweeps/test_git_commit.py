"""Which commit records name: of the repository, or where there is none, what an image was built from."""

import re
from pathlib import Path

import pytest

from sweeps.engine.schedules_facts import code
from sweeps.engine.sweep import git_commit

BUILT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git finds no repository."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path))


@pytest.mark.skipif(not (Path(__file__).parents[2] / ".git").exists(), reason="these files lie in no repository")
def test_a_repository_tells_its_own_commit_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSAR_GIT_COMMIT", BUILT)
    found = git_commit()
    assert found != BUILT
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", found)


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(("said", "commit"), [(BUILT, BUILT), ("", "unknown"), (None, "unknown")])
def test_without_one_it_is_what_the_image_was_built_from(
    said: str | None, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FSAR_GIT_COMMIT", raising=False)
    if said is not None:
        monkeypatch.setenv("FSAR_GIT_COMMIT", said)
    assert git_commit() == commit
    assert (code().git_commit, code().dirty) == (commit, False)
