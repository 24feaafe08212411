"""The Slurm job script with a real Ray and a real sweep; only Slurm's own commands are played by scripts."""

import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from sweeps.engine.records import RunFolder
from tests.cluster.made_slurm import Slurm, wait_for
from tests.e2e import small_sweep
from tests.e2e.sweeping import LIMIT_S, REPOSITORY
from tests.sweeps.made_folder import write_site, write_videos

pytestmark = [pytest.mark.long, pytest.mark.timeout(3 * LIMIT_S)]
JOB = 90_001


@pytest.fixture
def slurm(tmp_path: Path) -> Generator[Slurm]:
    made = Slurm(tmp_path, nodes=1, ray=True)
    made.variables["PYTHONPATH"] = str(REPOSITORY)
    yield made
    made.end()


def test_a_preempted_job_goes_on_where_it_was_and_ends_with_every_cell_once(tmp_path: Path, slurm: Slurm) -> None:
    site = write_site(tmp_path, write_videos(tmp_path / "videos"), head='ray = "auto"\ncheckpoint_seconds = 0.1')
    command = [small_sweep.__file__, "--site", str(site), "--dataset", "hmdb51", "--preset", "smoke", "--seeds", "1"]
    runs = tmp_path / "output" / "runs"
    first = slurm.start(*command, job=JOB)
    wait_for(lambda: first.poll() is not None or list(runs.glob("*/checkpoints/step-*")), LIMIT_S)
    first.send_signal(signal.SIGUSR1)
    assert first.wait(timeout=LIMIT_S) == 130, slurm.log.read_text()
    assert slurm.recorded("scontrol requeue") == [f"scontrol requeue {JOB}"]
    assert not Path(f"/tmp/fsar-{JOB}").exists()
    done = {path.parent.name: path.stat().st_mtime_ns for path in runs.glob("*/run.json")}
    again = slurm.start(*command, job=JOB)
    assert again.wait(timeout=LIMIT_S) == 0, slurm.log.read_text()[-4000:]
    folders = [RunFolder(path) for path in runs.iterdir()]
    assert len(folders) > len(done)
    assert all(folder.has_record() and folder.failure() is None for folder in folders)
    assert {name: (runs / name / "run.json").stat().st_mtime_ns for name in done} == done, "trained twice"
    assert len(slurm.recorded("scontrol requeue")) == 1
