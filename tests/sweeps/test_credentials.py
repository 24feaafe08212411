"""No password in a site file, and none in anything that is told."""

from pathlib import Path

import pytest

from sweeps.engine.credentials import MissingVariablesError, expanded, hide_credentials, holds_password
from sweeps.engine.site import BadRequest, load_site


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://me:secret@host:5000/x now", "see http://***@host:5000/x now"),
        ("postgresql+psycopg://me:se/cr@et@host/db", "postgresql+psycopg://***@host/db"),
        ("postgresql://host/db?user=me&password=secret&sslmode=require", None),
        ("http://host:5000/#/experiments/1", "http://host:5000/#/experiments/1"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
    ],
)
def test_what_is_told_has_no_credentials(text: str, shown: str | None) -> None:
    hidden = hide_credentials(text)
    assert "secret" not in hidden
    assert "se/cr" not in hidden
    assert hidden == (shown or "postgresql://host/db?user=me&password=***&sslmode=require")


def test_secrets_of_the_environment_are_hidden_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "correct horse")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "ab")
    assert hide_credentials("cannot log in with correct horse, about") == "cannot log in with ***, about"


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("postgresql://me:secret@host/db", True),
        ("http://me:secret@host", True),
        ("postgresql://host/db?user=me&password=secret", True),
        ("postgresql://me:${PW}x@host/db", True),
        ("postgresql://me:${PW}@host/db", False),
        ("postgresql://host/db?password=${PW}", False),
        ("postgresql://me@host:5432/db", False),
        ("postgresql://host/db?passfile=/etc/pass", False),
        ("http://127.0.0.1:5000", False),
        ("sqlite:////srv/a@b.db", False),
        ("${DATABASE}", False),
    ],
)
def test_a_written_password_is_found(uri: str, found: bool) -> None:
    assert holds_password(uri) is found


def test_variables_are_taken_from_the_environment_and_encoded() -> None:
    known = {"USER_NAME": "me", "PW": "a/b@c", "ALL": "postgresql://x@y/z"}
    assert expanded("postgresql://${USER_NAME}:${PW}@host/db", known) == "postgresql://me:a%2Fb%40c@host/db"
    assert expanded("${ALL}", known) == "postgresql://x@y/z"
    with pytest.raises(MissingVariablesError, match="set NOT_THERE, NOR_THIS"):
        expanded("postgresql://${NOT_THERE}:${NOR_THIS}@host/db", known)


def test_a_site_file_with_passwords_is_refused_without_telling_them(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        'tracking_uri = "http://me:secret@host"\nstudy_uri = "postgresql://h/d?password=secret"\n[datasets]\n'
    )
    with pytest.raises(BadRequest) as caught:
        load_site(str(site))
    assert len(caught.value.faults) == 2
    assert all("must hold no password; write ${NAME}" in fault for fault in caught.value.faults)
    assert "secret" not in str(caught.value)


def test_a_site_takes_its_password_from_the_environment_when_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        'tracking_uri = "http://me:${LAB_PW}@host"\nstudy_uri = "postgresql://me:${LAB_PW}@h/d"\n[datasets]\n'
    )
    site = load_site(str(path))
    with pytest.raises(BadRequest, match="tracking_uri of the site needs the environment to set LAB_PW"):
        site.mlflow_uri()
    monkeypatch.setenv("LAB_PW", "secret")
    assert (site.mlflow_uri(), site.optuna_uri()) == ("http://me:secret@host", "postgresql://me:secret@h/d")
    assert "secret" not in repr(site)
