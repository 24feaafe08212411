"""`ray up`, `ray submit`, `ray down` with cluster/loopback.yaml, over a real SSH to a machine of the test's own."""

import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sweeps.engine.schedules import load_schedules
from sweeps.engine.schedules_cron_jobs import Pods, kubernetes
from tests.e2e.own_machine import Machine, own_machine
from tests.e2e.sweeping import REPOSITORY

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

_LIMIT_S = 900
"""Of a sweep: it takes a minute where nothing else wants the cores."""
_SWEEP = ("--preset", "smoke", "--seeds", "1")
_SCHEDULES = """
[schedules.recorded]
script = "mask_ratio"
dataset = "motionshapes"
preset = "smoke"
site = "loopback"
seeds = 1
cron = "0 3 * * *"

[schedules.refused]
tables = ["sgtm/table5"]
dataset = "nowhere"
site = "loopback"
cron = "0 3 * * *"
"""
_WHERE = '''"""Says where workers have the code from."""
import ray
import sweeps
from sweeps.engine.launch import ray_session
from sweeps.engine.site import load_site
from sweeps.engine.sweep import git_commit

with ray_session(load_site("loopback")):
    there = ray.remote(lambda: __import__("sweeps").__path__[0])
    print("driver", sweeps.__path__[0], git_commit())
    print("worker", ray.get(there.remote()))
'''


@dataclass(frozen=True)
class Cluster:
    """A machine with a copy of the launcher file that names it."""

    machine: Machine
    file: Path
    told: str
    """What the first `ray up` said."""

    @property
    def runs(self) -> Path:
        return self.machine.home / "fsar-runs"

    def ray(self, verb: str, *words: str) -> tuple[int, str]:
        """Exit code and output of a command of the launcher."""
        done = self.machine.run("ray", *verb.split(), str(self.file), *words, limit_s=_LIMIT_S)
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def cluster(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("machine")
    with own_machine(folder) as machine:
        runs = machine.home / "fsar-runs"
        runs.mkdir()
        (runs / "motionshapes").symlink_to(benchmark)
        (runs / "cache").symlink_to(benchmark.parent / "cache")
        (benchmark.parent / "cache").mkdir(exist_ok=True)
        file = folder / "loopback.yaml"
        text = (REPOSITORY / "cluster" / "loopback.yaml").read_text()
        file.write_text(text.replace("ssh_user: me", "ssh_user: root"))
        assert machine.run("ray", "get-auth-token", "--generate").returncode == 0
        done = machine.run("ray", "up", "-y", str(file))
        assert done.returncode == 0, done.stdout
        yield Cluster(machine, file, done.stdout)


def test_the_machine_gets_the_project_and_workers_the_code_of_the_driver(cluster: Cluster, tmp_path: Path) -> None:
    assert f"environment {cluster.machine.home}/fsar-venv is new" in cluster.told
    script = tmp_path / "where.py"
    script.write_text(_WHERE)
    code, told = cluster.ray("submit", str(script))
    assert code == 0, told
    ((driver, commit),) = re.findall(r"^driver (\S+) (\S+)", told, re.MULTILINE)
    (worker,) = re.findall(r"^worker (\S+)", told, re.MULTILINE)
    assert driver == f"{cluster.machine.home}/fsar/sweeps"
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", commit)
    assert re.fullmatch(r"/tmp/ray/session_\S+/py_modules_files/\S+/sweeps", worker)


def test_a_script_that_is_handed_in_ends_as_a_table_in_files_and_on_the_tracking_server(cluster: Cluster) -> None:
    code, told = cluster.ray("submit", "sweeps/mask_ratio.py", "--", *_SWEEP)
    assert code == 0, told
    words = " ".join(told.split())
    assert "20 of 20 cells complete" in words
    assert "MLflow http://127.0.0.1:5000/#/experiments/" in words
    assert len((cluster.runs / "output/tables/mask_ratio/motionshapes-smoke/table.csv").read_text().splitlines()) == 21
    assert tracked(cluster) == {"cell": 20, "table": 1, "training": 11}


def test_the_same_as_a_job_survives_the_connection_and_finds_everything_recorded(cluster: Cluster) -> None:
    before = tracked(cluster)
    job = f"ray job submit --submission-id again --no-wait -- python fsar/sweeps/mask_ratio.py {' '.join(_SWEEP)}"
    code, told = cluster.ray("exec", job)
    assert code == 0, told
    deadline = time.monotonic() + _LIMIT_S
    while "Job 'again' succeeded" not in (told := cluster.ray("exec", "ray job status again; ray job logs again")[1]):
        assert time.monotonic() < deadline, told
        assert "Job 'again' failed" not in told, told
    assert "20 of 20 cells complete" in " ".join(told.split())
    assert "training:" not in told
    assert tracked(cluster) == before


def test_the_command_of_a_cron_job_hands_its_rerun_in_and_gives_back_how_it_ended(cluster: Cluster) -> None:
    home = cluster.machine.home
    (home / "schedules.toml").write_text(_SCHEDULES)
    jobs = kubernetes(load_schedules(home / "schedules.toml"), "schedules.toml", Pods(folder=str(home)))
    token = (home / ".ray" / "auth_token").read_text().strip()
    pod = ("env", "HOME=/nonexistent", "RAY_ADDRESS=http://127.0.0.1:8265", f"RAY_AUTH_TOKEN={token}")
    good, bad = (
        cluster.machine.run(*pod, *job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"])
        for job in yaml.safe_load_all(jobs)
    )
    assert good.returncode == 0, good.stdout
    assert re.search(r"rerun +recorded \d{8}T\d{6}Z: 20 of 20 cells", good.stdout), good.stdout
    assert tracked(cluster)["rerun"] == 1
    assert bad.returncode == 1
    assert "refused" in bad.stdout


def test_a_refused_request_is_told_and_fails_the_command(cluster: Cluster) -> None:
    code, told = cluster.ray("submit", "sweeps/mask_ratio.py", "--", "--preset", "nonsense")
    assert code == 1
    assert "refused --preset must be one of" in told


def test_without_the_token_nobody_is_let_in(cluster: Cluster) -> None:
    stranger = ("env", "HOME=/nonexistent", "RAY_AUTH_MODE=disabled")
    done = cluster.machine.run(*stranger, "ray", "job", "list", "--address", "http://127.0.0.1:8265")
    assert done.returncode != 0
    assert "AuthenticationError" in done.stdout


def test_up_again_without_restart_installs_nothing_and_leaves_ray_alone(cluster: Cluster) -> None:
    before = cluster.machine.processes("raylet")
    code, told = cluster.ray("up -y --no-restart")
    assert code == 0, told
    ours = f"environment {cluster.machine.home}/fsar-venv is up to date"
    assert ours in told or "Configuration already up to date" in told, told  # Ray passes over what it sees unchanged
    assert cluster.machine.processes("raylet") == before != []


def test_down_stops_ray_and_a_script_has_nowhere_to_go(cluster: Cluster) -> None:
    code, told = cluster.ray("down -y")
    assert code == 0, told
    assert cluster.machine.processes("raylet") == []
    code, told = cluster.ray("submit", "sweeps/mask_ratio.py", "--", *_SWEEP)
    assert code == 1
    assert "Head node of cluster" in told


def tracked(cluster: Cluster) -> dict[str, int]:
    """Runs on the tracking server by kind; all of them must have ended well."""
    with sqlite3.connect(cluster.runs / "output" / "mlflow.db") as database:
        assert database.execute("SELECT DISTINCT status FROM runs").fetchall() == [("FINISHED",)]
        kinds = database.execute("SELECT value, COUNT(*) FROM tags WHERE key = 'fsar.kind' GROUP BY value").fetchall()
    return dict(kinds)
