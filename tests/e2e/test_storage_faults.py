"""Storage that is full or cannot be written, on real file systems: what is said, and that nothing recorded is lost."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from sweeps.engine.records import RunFolder
from tests.e2e import small_sweep
from tests.e2e.sweeping import LIMIT_S, REPOSITORY, wait_until
from tests.sweeps.made_folder import write_site, write_videos

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(2 * LIMIT_S),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system"),
]
_MIB = 1 << 20
_STARTED: list["subprocess.Popen[bytes]"] = []


class Sweep:
    """The smallest one that trains several runs, on the storage of the test."""

    def __init__(self, folder: Path, storage: Path) -> None:
        videos = write_videos(folder / "videos")
        self.folder, self.storage, self.log = folder, storage, folder / "driver.log"
        head = f'storage = "{storage}"\ntracking_uri = "sqlite:///{folder / "mlflow.db"}"\ncheckpoint_seconds = 0.1'
        site = write_site(folder, videos, head=head)
        flags = ["--dataset", "hmdb51", "--preset", "smoke", "--seeds", "1"]
        self.command = [sys.executable, small_sweep.__file__, "--site", str(site), *flags]

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
            driver = subprocess.Popen(self.command, cwd=self.folder, env=own, stdout=log, stderr=log)
        _STARTED.append(driver)
        return driver

    def run(self) -> int:
        return self.start().wait(timeout=LIMIT_S)

    def said(self) -> str:
        return self.log.read_text()

    def begun(self) -> bool:
        return bool(list(self.storage.glob("runs/*/checkpoints/step-*")))

    def whole(self) -> int:
        """Finished runs; fails where a record cannot be read."""
        folders = [RunFolder(path) for path in (self.storage / "runs").iterdir()]
        return sum(folder.record() is not None for folder in folders)


def mount(source: str, target: Path, *options: str) -> None:
    target.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, source, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")


@pytest.fixture
def unmounted(tmp_path: Path) -> Generator[Path]:
    """Where a test mounts its storage."""
    target = tmp_path / "mounted"
    yield target
    for driver in _STARTED:  # a test that failed leaves one
        driver.terminate()
        driver.wait(timeout=60)
    _STARTED.clear()
    subprocess.run(["umount", "--lazy", str(target)], check=False)


def fill(path: Path) -> None:
    """Takes all room that is left."""
    with path.open("wb") as file:
        for size in (64 * _MIB, _MIB, 1 << 12):
            for end in itertools.count(file.tell() + size, size):
                try:
                    os.posix_fallocate(file.fileno(), end - size, size)
                except OSError:
                    break
                file.seek(end)


def stops_with(sweep: Sweep, driver: "subprocess.Popen[bytes]", reason: str) -> None:
    assert driver.wait(timeout=LIMIT_S) == 2, sweep.said()
    assert re.search(rf"stopped .*{sweep.storage}.*{reason}.*launch again", sweep.said()), sweep.said()[-3000:]
    assert "Traceback" not in sweep.said(), sweep.said()[-3000:]


def goes_on(sweep: Sweep) -> None:
    before = sweep.whole()
    assert sweep.run() == 0, sweep.said()[-3000:]
    assert sweep.whole() == len(list((sweep.storage / "runs").iterdir())) > before


def test_a_full_storage_stops_the_sweep_and_with_room_it_goes_on(tmp_path: Path, unmounted: Path) -> None:
    mount("tmpfs", unmounted, "-t", "tmpfs", "-o", "size=1200m")
    sweep = Sweep(tmp_path, unmounted / "output")
    driver = sweep.start()
    wait_until(sweep.begun, driver, sweep.log)
    filler = unmounted / "filler"
    fill(filler)
    stops_with(sweep, driver, "(No space left on device|MiB free)")
    filler.unlink()
    goes_on(sweep)


def test_a_disk_with_a_fault_becomes_read_only_which_stops_the_sweep(tmp_path: Path, unmounted: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(1400 * _MIB)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    mount(str(image), unmounted, "-o", "loop,errors=remount-ro")
    fault = _fault_of(unmounted)
    sweep = Sweep(tmp_path, unmounted / "output")
    driver = sweep.start()
    wait_until(sweep.begun, driver, sweep.log)
    fault()
    stops_with(sweep, driver, "Read-only file system")
    assert sweep.run() == 2
    assert "refused" in sweep.said()
    assert "cannot be written: Read-only file system" in sweep.said()
    subprocess.run(["umount", "--lazy", str(unmounted)], check=True)
    subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True, check=False)
    mount(str(image), unmounted, "-o", "loop,errors=remount-ro")
    goes_on(sweep)


def _fault_of(folder: Path) -> Callable[[], None]:
    """What makes Linux believe that the disk has failed."""
    device = subprocess.run(["findmnt", "-no", "SOURCE", str(folder)], capture_output=True, text=True, check=True)
    trigger = Path("/sys/fs/ext4") / Path(device.stdout.strip()).name / "trigger_fs_error"
    if not os.access(trigger, os.W_OK):
        pytest.skip("this kernel lets nobody set off a fault of ext4")

    def fault() -> None:
        trigger.write_text("a test")

    return fault
