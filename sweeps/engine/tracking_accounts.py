"""Accounts of a tracking server: what they need, and the file that tells MLflow where they are kept."""

import configparser
import io
import os
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sweeps.engine.databases import Database
from sweeps.engine.records import write_aside

Permission = Literal["READ", "EDIT", "MANAGE", "NO_PERMISSIONS"]
CONFIG = "MLFLOW_AUTH_CONFIG_PATH"
_SECRET, _ADMIN, _PASSWORD = (
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_AUTH_ADMIN_USERNAME",
    "MLFLOW_AUTH_ADMIN_PASSWORD",
)
_LEAST_KEY, _LEAST_PASSWORD = 16, 12
_REMEMBERED_S = "60"
"""How long a worker remembers that a password was right: to find out takes it as long as several requests. A password
that was changed is good for so much longer."""


def account_faults(tables: Collection[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """What is missing for a server with accounts. ``tables``: of its database; the first start adds some."""
    faults: list[str] = []
    if find_spec("flask_wtf") is None:
        faults.append("accounts need packages of MLflow's: pip install 'fsar-sweeps[cluster]'")
    if len(environment.get(_SECRET, "")) < _LEAST_KEY:
        way = "set it to a random text, the same at every start, such as `openssl rand -hex 32` gives"
        faults.append(f"accounts need {_SECRET} in the environment, {_LEAST_KEY} characters or more; {way}")
    config = environment.get(CONFIG)
    if config:
        return [*faults, *_config_faults(Path(config))]
    password = environment.get(_PASSWORD, "")
    if len(password) < _LEAST_PASSWORD and (password or "users" not in tables):
        words = f"the first start needs {_PASSWORD} in the environment, {_LEAST_PASSWORD} characters or more"
        faults.append(f"{words}; it becomes the password of {environment.get(_ADMIN) or 'admin'}; there is no default")
    return faults


def write_config(path: Path, store: Database, permission: Permission, environment: Mapping[str, str]) -> None:
    """For MLflow, readable by its owner alone; it holds no password. Accounts lie in the database of the runs."""
    parser = configparser.ConfigParser()
    own = {
        "default_permission": permission,
        "database_uri": store.uri,
        "admin_username": environment.get(_ADMIN) or "admin",
        "auth_cache_ttl_seconds": _REMEMBERED_S,
    }
    parser["mlflow"] = {key: value.replace("%", "%%") for key, value in own.items()}
    text = io.StringIO()
    parser.write(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    before = os.umask(0o077)
    try:
        write_aside(path, text.getvalue().encode())
    finally:
        os.umask(before)


def _config_faults(path: Path) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        return [f"{CONFIG}={path} must be a file of MLflow's accounts: {str(error).splitlines()[0]}"]
    own = dict(parser["mlflow"]) if parser.has_section("mlflow") else {}
    faults = [
        f"{CONFIG}={path}: [mlflow] lacks {key}" for key in ("default_permission", "database_uri") if not own.get(key)
    ]
    if own.get("admin_password") and path.stat().st_mode & 0o077:
        faults.append(f"{path} holds a password and others may read it: chmod 600 {path}")
    return faults
