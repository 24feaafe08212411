"""Tracking servers of the tests, started as a user does, ended for sure; and what MLflow holds."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.engine.tracking_health import awaited
from tests.e2e.postgres import Postgres, free_port
from tests.e2e.sweeping import REPOSITORY

ADMIN = "a-long-word-for-the-admin-0815"
STUDENT = "a-long-word-for-a-student-0816"
SECRET_KEY = "0123456789abcdef0123456789abcdef"
_START_S = 300


def fsar() -> str:
    """The command."""
    return str(Path(sys.executable).with_name("fsar"))


def account(user: str, password: str) -> dict[str, str]:
    """The environment of a client."""
    return {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}


@dataclass
class TrackingServer:
    """``fsar tracking serve`` on a port of its own."""

    folder: Path
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> None:
        site = self.folder / "server.toml"
        site.write_text(f'storage = "{self.folder / "server"}"\n[datasets]\n')
        command = [fsar(), "tracking", "serve", "--site", str(site)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), *self.flags],
                cwd=REPOSITORY,
                env=os.environ | dict(self.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        waited = awaited(self.url, _START_S, lambda: self._process.poll() is None)
        assert waited is not None, self.log.read_text()[-4000:]

    def kill(self) -> None:
        """All its processes at once, as when a machine goes down."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> int:
        """As Ctrl-C or systemd does; the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def served(server: TrackingServer) -> Generator[TrackingServer]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def recorded(database: Postgres, name: str) -> Counter[str]:
    """Runs of each kind in MLflow's database of this name."""
    rows = database.sql(name, "SELECT value, COUNT(*) FROM tags WHERE key = 'fsar.kind' GROUP BY value")
    return Counter({kind: int(count) for kind, _, count in (row.partition("|") for row in rows)})


def assert_once(database: Postgres, name: str) -> None:
    """No run is there twice, none is unfinished, and no point of a metric is there twice."""
    (counts,) = database.sql(name, "SELECT COUNT(*), COUNT(DISTINCT value) FROM tags WHERE key = 'fsar.key'")
    assert len(set(counts.split("|"))) == 1, counts
    assert database.sql(name, "SELECT DISTINCT status, lifecycle_stage FROM runs") == ["FINISHED|active"]
    same = "SELECT run_uuid, key, step FROM metrics GROUP BY run_uuid, key, step HAVING COUNT(*) > 1"
    assert database.sql(name, same) == []
