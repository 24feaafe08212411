"""A PostgreSQL of the test's own, on a free port of loopback, ended for sure."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.e2e.processes import kill

USER, PASSWORD = "fsar", "no-such-word-anywhere-4711"
_ROLE = "postgres"
_START_S = 60


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


@dataclass
class Postgres:
    """Reached by its password; databases are made by ``create``. Its first process is a child of the test, which
    reaps it: PostgreSQL does not start again beside a process that has the number of its last one."""

    folder: Path
    port: int
    _server: "subprocess.Popen[bytes] | None" = field(default=None, init=False, repr=False)

    def uri(self, name: str) -> str:
        """Without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def create(self, name: str) -> str:
        """A new database; gives its uri."""
        self.sql("postgres", f"CREATE DATABASE {name}")
        return self.uri(name)

    def sql(self, name: str, text: str) -> list[str]:
        """Lines of an answer, columns parted by ``|``."""
        command = [_program("psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.uri(name), "-c", text]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        return done.stdout.split("\n")[:-1]

    def dump(self, name: str) -> str:
        """All that is in a database."""
        command = [_program("pg_dump"), "--dbname", self.uri(name)]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._server = _started(["postgres", "-D", str(self.folder / "data")], log)
        asked = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + _START_S
        while subprocess.run(asked, check=False).returncode != 0:
            up = self._server.poll() is None and time.monotonic() < deadline
            assert up, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash of the machine would: every process of it, at once. Nothing where it does not run."""
        if self._server is None or self._server.poll() is not None:
            return
        head = psutil.Process(self._server.pid)
        kill([head, *head.children(recursive=True)])
        self._server.wait()


def environment() -> dict[str, str]:
    """With the password, as a user would set it."""
    return os.environ | {"PGPASSWORD": PASSWORD}


@contextmanager
def postgres() -> Generator[Postgres]:
    """Skips the test where the programs, or a user without rights to run them as, are missing."""
    _program("initdb")
    with tempfile.TemporaryDirectory(prefix="fsar-postgres-") as folder:  # pytest's own folders are closed to others
        yield from _served(Path(folder))


def _served(folder: Path) -> Generator[Postgres]:
    if os.getuid() == 0:
        _give_away(folder)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    own = Postgres(folder, free_port())
    flags = ["-D", str(folder / "data"), "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    with (folder / "log").open("ab") as log:
        made = _started(["initdb", *flags], log)
    assert made.wait() == 0, (folder / "log").read_text()
    secret.unlink()
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write(f"port = {own.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")
        settings.write("fsync = off\n")
    try:
        own.start()
        yield own
    finally:
        own.kill()


def _give_away(folder: Path) -> None:
    """PostgreSQL refuses to run as root."""
    try:
        role = pwd.getpwnam(_ROLE)
    except KeyError:
        pytest.skip(f"the tests run as root, and there is no user {_ROLE} to run PostgreSQL as")
    os.chown(folder, role.pw_uid, role.pw_gid)


def _started(command: list[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    own = [_program(command[0]), *command[1:]]
    if os.getuid() != 0:
        return subprocess.Popen(own, cwd="/", stdout=log, stderr=log)
    return subprocess.Popen(own, cwd="/", stdout=log, stderr=log, user=_ROLE, group=_ROLE, extra_groups=[])


def _program(name: str) -> str:
    """Those of one version: Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return path
