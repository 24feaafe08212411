"""Whether the tracking server and the study database of a site can be used, by whom, and how quickly."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from sweeps.engine.credentials import hide_credentials
from sweeps.engine.databases import BadDatabaseError, database
from sweeps.engine.site import Site
from sweeps.engine.tracking_connection import TrackingError, connect, reaching, sqlite_file
from sweeps.engine.tracking_health import awaited, status

_CALLS = 5
_OPEN = "/api/2.0/mlflow/experiments/search?max_results=1"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    told: str


def checked(site: Site, wait_s: float = 0.0) -> Iterator[Finding]:
    """Each as it is found. ``wait_s``: for a server that is starting. Raises BadRequest where the site names variables
    that are not set."""
    uri, studies = site.mlflow_uri(), site.optuna_uri()
    there = True
    if uri.startswith(("http://", "https://")):
        server = _server(uri.rstrip("/"), wait_s)
        there = server.good
        yield server
    if there and uri.startswith("http"):
        yield _accounts(_bare(uri.rstrip("/")))
    if there:
        yield _usable(uri)
    yield _studies(studies)


def _server(uri: str, wait_s: float) -> Finding:
    shown = hide_credentials(uri)
    if awaited(_bare(uri), wait_s) is None:
        _, reason = status(f"{_bare(uri)}/health")
        return Finding("server", False, f"{shown} does not answer: {reason}")
    code, version = status(f"{_bare(uri)}/version")  # where there are accounts, it is not told to everybody
    return Finding("server", True, f"{shown} answers" + (f", MLflow {version.strip()[:20]}" if code == 200 else ""))


def _accounts(uri: str) -> Finding:
    code, _ = status(uri + _OPEN)
    if code == 401:
        return Finding("accounts", True, "requests without an account are refused")
    if code != 200:
        return Finding("accounts", False, f"a request without an account gives HTTP {code or 'nothing'}")
    loopback = uri.partition("://")[2].startswith(("127.", "localhost", "[::1]"))
    words = "none: all who reach it may read and delete every run"
    return Finding("accounts", loopback, words + ("" if loopback else "; start it with --accounts"))


def _usable(uri: str) -> Finding:
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        return Finding("MLflow", True, f"{file} is made by the first sweep")
    known, took = 0, list[float]()
    try:
        client = connect(uri)
        for _ in range(_CALLS):
            began = time.perf_counter()
            with reaching(uri):
                known = len(client.search_experiments(max_results=1000))
            took.append(time.perf_counter() - began)
    except TrackingError as error:
        return Finding("MLflow", False, str(error))
    return Finding("MLflow", True, f"{known} experiments are visible, {1000 * median(took):.0f} ms a request")


def _studies(uri: str) -> Finding:
    try:
        tables = database(uri).tables()
    except BadDatabaseError as error:
        return Finding("studies", False, str(error))
    shown = hide_credentials(uri)
    if "experiments" in tables:
        return Finding("studies", False, f"{shown} is the database of MLflow; Optuna needs one of its own")
    return Finding("studies", True, shown + ("" if "studies" in tables else ": made by the first search"))


def _bare(uri: str) -> str:
    """Without an account."""
    kind, _, rest = uri.partition("://")
    return f"{kind}://{rest.rpartition('@')[2]}"
