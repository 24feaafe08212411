"""Starts sweep scripts as a user does, in processes of their own, on a data set and a storage of the test's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.e2e.processes import ends

REPOSITORY = Path(__file__).parents[2]
LIMIT_S = 420


@dataclass(frozen=True)
class Place:
    """A site of the test's own."""

    folder: Path
    benchmark: Path
    """Where MotionShapes lies, shared by all places."""
    checkpoint_seconds: float = 0.2
    script: Path = REPOSITORY / "sweeps" / "mask_ratio.py"
    head: str = ""
    """More lines of the site file."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the drivers' environment, beside the tests' own."""

    @property
    def storage(self) -> Path:
        return self.folder / "output"

    @property
    def site(self) -> Path:
        path = self.folder / "site.toml"
        if not path.exists():
            path.write_text(
                f'storage = "{self.storage}"\ncache = "{self.benchmark.parent / "cache"}"\n'
                f"checkpoint_seconds = {self.checkpoint_seconds}\n{self.head}"
                f'[datasets.motionshapes]\nroot = "{self.benchmark}"\n'
            )
        return path

    def command(self, *flags: str) -> list[str]:
        site = str(self.site)
        return [sys.executable, str(self.script), "--site", site, "--preset", "smoke", "--seeds", "1", *flags]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), **self.variables}

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """To its end; stdout and stderr together."""
        return subprocess.run(
            self.command(*flags),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def start(self, *flags: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "driver.log").open("ab") as log:
            return subprocess.Popen(
                self.command(*flags),
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def wait_until(
    condition: Callable[[], object], driver: "subprocess.Popen[bytes]", log: Path, every_s: float = 0.005
) -> None:
    """Polls; fails with the driver's log if it ends or hangs before the moment comes."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if driver.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the moment did not come; exit {driver.poll()}\n{log.read_text()[-4000:]}")
        time.sleep(every_s)


def kill_driver(driver: "subprocess.Popen[bytes]") -> None:
    """SIGKILL; then waits until no process is left that could write results. Ray's own agents take longer to notice."""
    family = [p for p in psutil.Process(driver.pid).children(recursive=True) if "agent" not in _title(p).lower()]
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    ends(family)


def workers(driver: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """The processes in which runs are trained, where the driver has a Ray of its own."""
    return trainers(driver.pid)


def trainers(ancestor: int) -> list[psutil.Process]:
    """The processes in which runs are trained, of those that descend from this one."""
    family = psutil.Process(ancestor).children(recursive=True)
    return [process for process in family if _title(process).startswith("ray::ImplicitFunc")]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
