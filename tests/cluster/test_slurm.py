"""The Slurm job script, with Slurm's and Ray's commands played by recorders: no Slurm was at hand."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.cluster.made_slurm import SCRIPT, Slurm, wait_for

TEXT = SCRIPT.read_text()
SWEEP = """
import os, pathlib, sys, time
here = pathlib.Path(sys.argv[1])
try:
    while pathlib.Path(os.environ["RECORD"]).read_text().count("\\nray start") < int(os.environ["NODES"]):
        time.sleep(0.02)
    (here / "begun").touch()
    if "wait" in sys.argv and not (here / "checkpoint").exists():
        time.sleep(60)
except KeyboardInterrupt:
    (here / "checkpoint").touch()
    sys.exit(0 if "finish" in sys.argv else 130)
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    (tmp_path / "sweep.py").write_text(SWEEP)
    return Slurm(tmp_path)


def sweep(slurm: Slurm, code: int = 0, *words: str) -> list[str]:
    return ["sweep.py", str(slurm.folder), str(code), *words]


def fixed_ports(slurm: Slurm) -> set[str]:
    return {port for line in slurm.recorded("ray start") for port in re.findall(r"port=(\d{2,})", line)}


def test_bash_and_shellcheck_find_no_fault() -> None:
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    found = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_its_head_asks_to_be_queued_again_and_says_what_to_edit() -> None:
    head, _, body = TEXT.partition("\nset -euo pipefail\n")
    options = [line.split()[1] for line in head.splitlines() if line.startswith("#SBATCH ")]
    assert {"--requeue", "--signal=B:USR1@120", "--open-mode=append", "--ntasks-per-node=1"} <= set(options)
    assert "#SBATCH" not in body, "Slurm reads no options after the first command"
    assert TEXT.count("# EDIT") == 5
    assert "EDIT (5)" in head


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_of_the_sweep_is_that_of_the_job(slurm: Slurm, code: int) -> None:
    assert slurm.run(*sweep(slurm, code)) == code
    assert slurm.recorded("scontrol requeue") == []


def test_ray_has_a_head_on_the_first_node_and_workers_on_the_others(slurm: Slurm) -> None:
    slurm.run(*sweep(slurm), job=7)
    head, worker = slurm.recorded("ray start")
    assert "--head --node-ip-address=127.0.0.1 --port=10028 --temp-dir=/tmp/fsar-7 " in head
    assert "--address=127.0.0.1:10028 " in worker
    for line in (head, worker):
        assert line.endswith("mode token, token of 64, 127.0.0.1:10028")
        assert "--num-gpus=0 " in line
        assert "--num-cpus=2 " in line
    assert "--dashboard-host=127.0.0.1" in head
    on_head, on_others = [line for line in slurm.recorded("srun") if "hostname" not in line]
    assert "--nodelist=node1" in on_head
    assert "--exclude=node1" in on_others


def test_the_token_is_in_no_command_line_and_no_log(slurm: Slurm) -> None:
    slurm.run(*sweep(slurm))
    assert re.findall(r"[0-9a-f]{64}", slurm.record.read_text() + slurm.log.read_text()) == []


def test_two_jobs_on_one_node_share_no_port_and_no_folder(slurm: Slurm) -> None:
    found: list[set[str]] = []
    for job in (4711, 4712):
        slurm.record.unlink(missing_ok=True)
        slurm.run(*sweep(slurm), job=job)
        found.append(fixed_ports(slurm))
        assert f"/tmp/fsar-{job}" in slurm.record.read_text()
    assert len(found[0]) == len(found[1]) == 4
    assert not found[0] & found[1]
    assert all(1024 < int(port) < 32768 for port in found[0] | found[1]), "others may be given out by Linux"


def test_nothing_is_left_on_the_nodes(slurm: Slurm) -> None:
    slurm.run(*sweep(slurm))
    pids = [int(line) for line in Path(f"{slurm.record}.pids").read_text().split()]
    assert len(pids) == 2
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_before_its_time_is_up_the_sweep_is_stopped_and_the_job_queued_again_where_it_goes_on(slurm: Slurm) -> None:
    words = sweep(slurm, 0, "wait")
    job = slurm.start(*words)
    wait_for((slurm.folder / "begun").exists)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=30) == 130
    assert slurm.recorded("scontrol requeue") == ["scontrol requeue 1"]
    assert slurm.run(*words) == 0
    assert len(slurm.recorded("scontrol requeue")) == 1


def test_a_sweep_that_just_ends_is_not_queued_again(slurm: Slurm) -> None:
    job = slurm.start(*sweep(slurm, 0, "wait", "finish"))
    wait_for((slurm.folder / "begun").exists)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=30) == 0
    assert slurm.recorded("scontrol requeue") == []


def test_a_cancelled_job_stops_its_sweep_and_is_not_queued_again(slurm: Slurm) -> None:
    job = slurm.start(*sweep(slurm, 0, "wait"))
    wait_for((slurm.folder / "begun").exists)
    job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=30) == 130
    assert (slurm.folder / "checkpoint").exists()
    assert slurm.recorded("scontrol requeue") == []


def test_without_a_command_nothing_is_started(slurm: Slurm) -> None:
    assert slurm.run() == 2
    assert "give the command" in slurm.log.read_text()
    assert not slurm.record.exists()


def test_a_head_that_does_not_start_ends_the_job(slurm: Slurm) -> None:
    assert slurm.run(*sweep(slurm), UNHEALTHY="1") == 1
    assert "Ray's head did not start on node1" in slurm.log.read_text()
    assert not (slurm.folder / "begun").exists()
