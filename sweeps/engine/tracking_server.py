"""A tracking server of one's own: MLflow's, on SQLite or PostgreSQL, closed to others unless it has accounts."""

import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sweeps.engine.credentials import hide_credentials, holds_password
from sweeps.engine.databases import STORE, BadDatabaseError, Database, database, store_database
from sweeps.engine.site import BadRequest
from sweeps.engine.tracking_accounts import Permission, account_faults

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")
_REMOTE = {
    "s3": "boto3",
    "gs": "google.cloud.storage",
    "wasbs": "azure.storage.blob",
    "abfss": "azure.storage.filedatalake",
}
"""Kinds of storage of artefacts, and the package that each needs."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PRIVATE = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Of clients: a server needs none of them."""


@dataclass(frozen=True, kw_only=True)
class ServerAsked:
    """As flags say it."""

    storage: Path
    """Of the site: the database, the artefacts and the file of accounts lie there unless others are named."""
    store: str | None = None
    studies: str | None = None
    """The site's database of studies, which must be another one; None: not asked for."""
    artifacts: str | None = None
    """A folder, or a URI such as ``s3://bucket/path``."""
    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 2
    names: tuple[str, ...] = ()
    """By which browsers and drivers reach it, beside ``host``."""
    accounts: bool = False
    permission: Permission = "EDIT"


@dataclass(frozen=True, kw_only=True)
class Server:
    """Found good."""

    asked: ServerAsked
    database: Database
    artifacts: str

    @property
    def url(self) -> str:
        """For clients on this machine."""
        own = self.asked.host
        host = "127.0.0.1" if own in ("0.0.0.0", "localhost") else "[::1]" if own == "::" else _bracketed(own)
        return f"http://{host}:{self.asked.port}"

    def names(self) -> list[str]:
        """Other than loopback, that requests may be addressed to."""
        own = [] if self.asked.host in (*_LOOPBACK, *_EVERYWHERE) else [_bracketed(self.asked.host)]
        here = [] if is_loopback(self.asked.host) else [socket.gethostname(), socket.getfqdn()]
        return list(dict.fromkeys([*self.asked.names, *own, *here]))

    def command(self) -> list[str]:
        """MLflow's server, without anything secret: a list of processes shows it."""
        asked = self.asked
        command = [sys.executable, "-m", "mlflow", "server", "--artifacts-destination", self.artifacts]
        command += ["--host", asked.host, "--port", str(asked.port), "--workers", str(asked.workers)]
        names = self.names()
        if names:
            hosts = [*_LOOPBACK[:2], "[::1]", *names]
            command += ["--allowed-hosts", ",".join(one for host in hosts for one in (host, f"{host}:*"))]
            origins = (
                f"{kind}://{name}{end}"
                for name in names
                for kind in ("http", "https")
                for end in ("", f":{asked.port}")
            )
            command += ["--cors-allowed-origins", ",".join(origins)]
        return command + (["--app-name", "basic-auth"] if asked.accounts else [])

    def environment(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Of its process."""
        inherited = {name: value for name, value in environment.items() if name not in _PRIVATE}
        own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        return own | inherited | {STORE: self.database.uri} | self.database.environment()


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine reach it."""
    return host in _LOOPBACK or (re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None)


def found_good(asked: ServerAsked, environment: Mapping[str, str] = os.environ) -> Server:
    """Raises BadRequest with all that is wrong; nothing is written or started."""
    faults = [*_address_faults(asked), *_artifact_faults(asked.artifacts)]
    store, tables = None, list[str]()
    try:
        store = store_database(asked.store, asked.storage / "mlflow.db", environment)
        tables = store.tables()
        if asked.studies and store.is_same(database(asked.studies, environment)):
            fault = f"the database {store.uri} is that of the site's studies: MLflow and Optuna mark versions in one "
            faults.append(f"{fault}table, and neither would start again; make two databases")
    except BadDatabaseError as error:
        faults.append(str(error))
    if asked.accounts:
        faults += account_faults(tables, environment)
    elif not is_loopback(asked.host):
        fault = f"--host {asked.host} lets others in, who may then read and delete every run"
        faults.append(f"{fault}; add --accounts, or keep to 127.0.0.1 and let them come through ssh -L")
    if faults or store is None:
        raise BadRequest(faults)
    return Server(asked=asked, database=store, artifacts=_place(asked))


def _address_faults(asked: ServerAsked) -> list[str]:
    faults = [
        f"{flag} must be from {least} to {most}, got {value}"
        for flag, value, least, most in (("--port", asked.port, 1, 65535), ("--workers", asked.workers, 1, 64))
        if not least <= value <= most
    ]
    faults += [
        f"--name must be a host name such as gpu1.lab.edu, without http:// and port, got {name!r}"
        for name in asked.names
        if not _NAME.fullmatch(name)
    ]
    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    try:
        with socket.socket(family) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind((asked.host, asked.port if not faults else 0))
    except OSError as error:
        way = "name a free --port, or an address of this machine as --host"
        faults.append(f"{asked.host} port {asked.port} must be free: {error.strerror or error}; {way}")
    return faults


def _artifact_faults(artifacts: str | None) -> list[str]:
    kind, there, rest = (artifacts or "").partition("://")
    if not there or (kind == "file" and rest.startswith("/")):
        return []
    if holds_password(artifacts or ""):
        return [f"--artifacts {hide_credentials(artifacts or '')} must hold no password; the environment has it"]
    if kind not in _REMOTE:
        kinds = ", ".join(f"{known}://" for known in _REMOTE)
        return [f"--artifacts must be a folder, or begin with one of {kinds}, got {artifacts!r}"]
    if find_spec(_REMOTE[kind].split(".", maxsplit=1)[0]) is None:
        return [f"--artifacts {kind}:// needs the package {_REMOTE[kind]}, which is not installed"]
    return []


def _place(asked: ServerAsked) -> str:
    """Beside the database that a site of one machine uses, there are folders of this name already."""
    if asked.artifacts is None:
        return str(asked.storage / "artifacts")
    return asked.artifacts if "://" in asked.artifacts else str(Path(asked.artifacts).expanduser().absolute())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
