"""User names and passwords: taken from the environment, refused in files, hidden in everything that is told."""

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

_HIDDEN = "***"
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_USER = re.compile(r"(://)(?:[^/\s:@]*:\S*|[^/\s]*)@")
"""What stands before the last ``@`` of a URI: a password may hold ``/`` and ``@`` that were not encoded."""
_QUERY = re.compile(r"([?&](?:ssl)?(?:password|passwd|pwd|token|secret)=)([^&\s]*)", re.IGNORECASE)
_PASSWORD = re.compile(r"\w[\w+.-]*://[^/\s:@]*:(?P<password>\S*)@")
_SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_AUTH_ADMIN_PASSWORD",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "PGPASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_LONG_ENOUGH = 8
"""Shorter values occur in texts by chance."""


class MissingVariablesError(ValueError):
    """Environment variables that a URI names and that are not set."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"needs the environment to set {', '.join(names)}")


def hide_credentials(text: str) -> str:
    """User names and passwords of every URI in a text become ``***``, and so do the environment's own secrets."""
    for name in _SECRETS:
        value = os.environ.get(name, "")
        if len(value) >= _LONG_ENOUGH:
            text = text.replace(value, _HIDDEN)
    return _QUERY.sub(rf"\1{_HIDDEN}", _USER.sub(rf"\1{_HIDDEN}@", text))


def holds_password(uri: str) -> bool:
    """Whether a password is written out in it; ``${NAME}``, which stands for a variable, is none."""
    there = _PASSWORD.match(uri)
    words = [there["password"]] if there else []
    words += [found[2] for found in _QUERY.finditer(uri)]
    return any(word and not _VARIABLE.fullmatch(word) for word in words)


def expanded(uri: str, environment: Mapping[str, str] = os.environ) -> str:
    """Every ``${NAME}`` replaced by that variable, percent-encoded; one that is the whole URI is taken as it is.

    Raises MissingVariablesError.
    """
    names = _VARIABLE.findall(uri)
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise MissingVariablesError(missing)
    if _VARIABLE.fullmatch(uri):
        return environment[names[0]]
    return _VARIABLE.sub(lambda found: quote(environment[found[1]], safe=""), uri)
