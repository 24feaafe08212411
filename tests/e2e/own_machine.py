"""A machine of the test's own on this one: own processes, network, home of root and sshd, so that `ray up` and
`ray down`, which stop every Ray that they see, see no other."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.sweeping import LIMIT_S, REPOSITORY

NEEDED = ("sshd", "ssh", "ssh-keygen", "rsync", "tmux", "unshare", "setpriv", "nsenter", "ip", "git")
PORT = 2222
_OWN = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net")
_UNSHARE = ("setpriv", "--pdeathsig", "KILL", *_OWN)
"""Ends with the tests, even where these are killed."""


@dataclass(frozen=True)
class Machine:
    """Lives until its context ends; then none of its processes does."""

    folder: Path
    init: int
    """The process that the others are children of."""

    @property
    def home(self) -> Path:
        """Of root, on this machine only."""
        return self.folder / "home"

    def run(self, *command: str, limit_s: float = LIMIT_S) -> subprocess.CompletedProcess[str]:
        """Started as a person at this machine would, in the repository; stdout and stderr together."""
        started = self.start(*command)
        try:
            told, _ = started.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)  # nsenter, and what it has started
            raise AssertionError(
                f"{' '.join(command)} takes more than {limit_s} s\n{started.communicate()[0]}"
            ) from None
        return subprocess.CompletedProcess(command, started.returncode, told)

    def start(self, *command: str) -> "subprocess.Popen[str]":
        path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        home = {
            "HOME": str(self.home),
            "TMPDIR": str(self.folder / "tmp"),
            "PATH": path,
            "TERM": "dumb",
            "COLUMNS": "150",
            "LANG": "C.UTF-8",
        }
        quiet = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            (
                "nsenter",
                "--target",
                str(self.init),
                "--mount",
                "--pid",
                "--net",
                "--",
                "env",
                "-C",
                str(REPOSITORY),
                *command,
            ),
            cwd=REPOSITORY,
            env={**home, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self, name: str) -> list[int]:
        """Of programs of this name, as this host numbers them."""
        return [process.pid for process in psutil.Process(self.init).children(recursive=True) if process.name() == name]


def why_not() -> str | None:
    """What this host lacks for a machine of its own, in words; None if nothing."""
    if os.geteuid() != 0:
        return "namespaces and sshd need root"
    missing = [name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing:
        return f"needs the programs {', '.join(missing)}"
    tried = subprocess.run((*_UNSHARE, "true"), capture_output=True, text=True, check=False)
    return f"namespaces are not allowed here: {tried.stderr.strip()}" if tried.returncode else None


@contextmanager
def own_machine(folder: Path) -> Generator[Machine]:
    """With sshd on loopback, which root's key opens, and the packages of this environment as a node of a cluster has
    them after a first set-up: installed, but not yet this project."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    _make_home(folder / "home")
    _make_environment(folder / "home" / "fsar-venv")
    _make_files(folder)
    log = (folder / "machine.log").open("wb")
    outer = subprocess.Popen((*_UNSHARE, "bash", str(folder / "boot.sh")), stdout=log, stderr=log)
    log.close()
    try:
        yield Machine(folder, _booted(outer, folder))
    finally:
        outer.send_signal(signal.SIGKILL)
        outer.wait()


def _make_home(home: Path) -> None:
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    (home / ".ray").mkdir()
    for key in (home / ".ssh" / "fsar", home.parent / "host_key"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    (home / ".ssh" / "config").write_text(f"Host 127.0.0.1\n  Port {PORT}\n")
    public = (home / ".ssh" / "fsar.pub").read_text()
    (home / ".ssh" / "authorized_keys").write_text(public)
    (home / ".config" / "pip").mkdir(parents=True)
    # The machine has no network; what the build needs is among the packages.
    (home / ".config" / "pip" / "pip.conf").write_text("[install]\nno-index = true\nno-build-isolation = false\n")


def _make_environment(venv: Path) -> None:
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", str(venv)), check=True)
    ours = Path(sys.executable).parent
    (site,) = venv.glob("lib/python3*/site-packages")
    (packages,) = ours.parent.glob("lib/python3*/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n")  # a path alone: the project's own link there is not followed
    for name in ("ray", "mlflow"):
        script = (ours / name).read_text().partition("\n")[2]
        (venv / "bin" / name).write_text(f"#!{venv}/bin/python\n{script}")
        (venv / "bin" / name).chmod(0o755)


def _make_files(folder: Path) -> None:
    """What the machine sees in place of this one's."""
    for name in ("ray", "tmp"):
        (folder / name).mkdir()
    passwd = (
        f"root:x:0:0:root:{folder}/home:/bin/bash\nnobody:x:65534:65534::/:/bin/false\nsshd:x:100:65534::/:/bin/false\n"
    )
    (folder / "passwd").write_text(passwd)
    (folder / "hosts").write_text(f"127.0.0.1 localhost {os.uname().nodename}\n")
    (folder / "sshd_config").write_text(
        f"Port {PORT}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"PasswordAuthentication no\nAuthorizedKeysFile {folder}/home/.ssh/authorized_keys\nMaxStartups 100\n"
    )
    (folder / "boot.sh").write_text(
        f"""set -e
ip link set lo up
mkdir -p /tmp/ray
mount --bind {folder}/ray /tmp/ray
mount --bind {folder}/passwd /etc/passwd
mount --bind {folder}/hosts /etc/hosts
mount --bind /dev/null /etc/resolv.conf
mount -t tmpfs tmpfs /run
mkdir /run/sshd
$(command -v sshd || echo /usr/sbin/sshd) -f {folder}/sshd_config
touch {folder}/booted
while :; do sleep 3600 & wait $!; done
"""
    )


def _booted(outer: "subprocess.Popen[bytes]", folder: Path) -> int:
    deadline = time.monotonic() + 30
    while not (folder / "booted").exists():
        if outer.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the machine does not start: {(folder / 'machine.log').read_text()}")
        time.sleep(0.05)
    return psutil.Process(outer.pid).children()[0].pid
