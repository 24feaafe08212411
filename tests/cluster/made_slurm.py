"""Slurm's commands, and where asked Ray's, as far as the job script uses them, on this machine alone."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "cluster" / "slurm.sbatch"
_SRUN = """#!/bin/bash
echo "srun $*" >>"$RECORD"
while [[ $1 == --* ]]; do shift; done
case "$*" in
  "hostname --ip-address") echo "127.0.1.1" ;;
  "hostname --all-ip-addresses") echo "127.0.0.1 10.0.0.9 " ;;
  *) exec "$@" ;;
esac
"""
_SCONTROL = """#!/bin/bash
echo "scontrol $*" >>"$RECORD"
if [[ $1 == show ]]; then printf 'node1\\nnode2\\n' | head -n "$NODES"; fi
"""
_RAY = """#!/bin/bash
echo "ray $* | mode $RAY_AUTH_MODE, token of ${#RAY_AUTH_TOKEN}, $RAY_ADDRESS" >>"$RECORD"
if [[ $1 == health-check ]]; then grep -q "^ray start .*--head" "$RECORD" && exit "${UNHEALTHY:-0}"; exit 1; fi
if [[ ${UNHEALTHY:-0} != 0 ]]; then exit 1; fi
echo $$ >>"$RECORD.pids"
exec sleep 1000
"""


class Slurm:
    """One allocation after another, each with the script as its batch step."""

    def __init__(self, folder: Path, *, nodes: int = 2, ray: bool = False) -> None:
        """``ray``: the real one."""
        self.folder, self.record, self.log = folder, folder / "record", folder / "job.log"
        self._started: list[subprocess.Popen[bytes]] = []
        commands = folder / "commands"
        commands.mkdir()
        own = {"srun": _SRUN, "scontrol": _SCONTROL}
        environment = Path(sys.executable).parent.parent
        if not ray:
            environment = folder / "environment"
            (environment / "bin").mkdir(parents=True)
            (environment / "bin" / "python").symlink_to(sys.executable)
            own["../environment/bin/ray"] = _RAY
        for name, text in own.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        self.variables = {
            **os.environ,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "RECORD": str(self.record),
            "NODES": str(nodes),
            "SLURM_SUBMIT_DIR": str(folder),
            "SLURM_CPUS_PER_TASK": "2",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "FSAR_ENV": str(environment),
        }

    def start(self, *command: str, job: int = 1, **variables: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            own = {**self.variables, "SLURM_JOB_ID": str(job), **variables}
            job_step = subprocess.Popen(["bash", str(SCRIPT), *command], env=own, stdout=log, stderr=log)
        self._started.append(job_step)
        return job_step

    def end(self) -> None:
        """Of what a failed test has left at work."""
        for job_step in self._started:
            job_step.terminate()
        for job_step in self._started:
            job_step.wait(timeout=120)

    def run(self, *command: str, job: int = 1, **variables: str) -> int:
        return self.start(*command, job=job, **variables).wait(timeout=60)

    def recorded(self, what: str) -> list[str]:
        """Calls that begin so."""
        return [line for line in self.record.read_text().splitlines() if line.startswith(what)]


def wait_for(condition: Callable[[], object], limit_s: float = 30) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not come to it"
        time.sleep(0.02)
