"""A PostgreSQL of the test's own, on a free port of loopback, ended for sure."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

USER, PASSWORD = "fsar", "no-such-word-anywhere-4711"
_ROLE = "postgres"
_START_S = 60


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


@dataclass(frozen=True)
class Postgres:
    """Reached by its password; databases are made by ``create``."""

    folder: Path
    port: int

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
        _as_role("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "-t", str(_START_S), "start")

    def kill(self) -> None:
        """As a crash of the machine would: every process of it, at once."""
        head = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split("\n")[0]))
        family = [head, *head.children(recursive=True)]
        for process in family:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=20)


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
    _as_role("initdb", "-D", folder / "data", "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync")
    secret.unlink()
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write(f"port = {own.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")
        settings.write("fsync = off\n")
    own.start()
    try:
        yield own
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            _as_role("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")


def _give_away(folder: Path) -> None:
    """PostgreSQL refuses to run as root."""
    try:
        role = pwd.getpwnam(_ROLE)
    except KeyError:
        pytest.skip(f"the tests run as root, and there is no user {_ROLE} to run PostgreSQL as")
    os.chown(folder, role.pw_uid, role.pw_gid)


def _as_role(program: str, *arguments: str | Path) -> None:
    command = [_program(program), *map(str, arguments)]
    if os.getuid() == 0:
        command = ["runuser", "-u", _ROLE, "--", *command]
    done = subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _program(name: str) -> str:
    """Those of one version: Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return path
