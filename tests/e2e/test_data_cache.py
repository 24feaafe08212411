"""``fsar data cache`` with a real Ray: killed and taken up again, called twice at once, and on two nodes."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from fsar_core.data.frame_cache import FrameCache
from tests.e2e.sweeping import kill_driver, wait_until
from tests.fsar_core.videos import write_video
from tests.sweeps.made_folder import files, write_site

CLIPS = {"train": 40, "val": 3, "test": 3}
PROGRAM = (
    "import typer; from fsar_core.data import cache_shards; from sweeps.engine.cache_cli import cache\n"
    "cache_shards._MIN_BYTES = 1\n"  # a shard for each clip
    "typer.run(cache)\n"
)
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    content = write_video(root / "first.mp4", 120, height=240, width=320).read_bytes()
    (root / "first.mp4").unlink()
    for split, count in CLIPS.items():
        for number in range(count):
            path = root / split / f"{split} 0" / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "driver.log"


@pytest.fixture
def start(tmp_path: Path, videos: Path, log: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def starting(ray: str) -> "subprocess.Popen[bytes]":
        site = write_site(tmp_path, videos, head=f'ray = "{ray}"')
        command = [sys.executable, "-c", PROGRAM, "hmdb51", "--site", str(site), "--preset", "smoke"]
        with log.open("ab") as out:
            started.append(subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True))
        return started[-1]

    yield starting
    for driver in started:
        driver.kill()


def shards(folder: Path) -> list[Path]:
    """Records of the finished ones."""
    return list((folder / "cache" / "frames").rglob("shard-*.json"))


def caches(folder: Path) -> list[FrameCache]:
    return [FrameCache(path.parent) for path in (folder / "cache" / "frames").rglob("manifest.json")]


def assert_complete(folder: Path) -> None:
    made = caches(folder)
    assert len(made) == 3
    for cache in made:
        cache.verify()


def test_finished_shards_outlive_a_kill_and_are_not_made_again(tmp_path: Path, start: Start, log: Path) -> None:
    driver = start("local")
    wait_until(lambda: len(shards(tmp_path)) >= 5, driver, log)
    kill_driver(driver)
    left = [path.with_suffix(".arrow") for path in shards(tmp_path)]
    assert 5 <= len(left) < CLIPS["train"]
    before = {str(path): files(path.parent)[str(path)] for path in left}
    assert start("local").wait(timeout=240) == 0, log.read_text()
    assert before.items() <= files(tmp_path / "cache").items()
    assert_complete(tmp_path)
    assert len(shards(tmp_path)) == sum(CLIPS.values())
    assert f"train: {CLIPS['train']}/{CLIPS['train']} shards" in log.read_text()


def test_two_calls_at_once_make_every_shard_once(tmp_path: Path, start: Start, log: Path) -> None:
    drivers = [start("local"), start("local")]
    assert [driver.wait(timeout=240) for driver in drivers] == [0, 0], log.read_text()
    assert_complete(tmp_path)
    text = log.read_text()
    assert text.count("all frames are there") == 2
    assert text.count(f"train: {CLIPS['train']}/{CLIPS['train']} shards") == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_every_node_of_a_cluster_decodes(
    tmp_path: Path, start: Start, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the nodes share a disk: one builds, the other waits for it. They plan their shards themselves."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.setitem(os.environ, "RAY_ADDRESS", cluster.address)
        assert start("auto").wait(timeout=240) == 0, log.read_text()
    finally:
        cluster.shutdown()
    assert_complete(tmp_path)
    assert re.search(r"\): decoding hmdb51 train: (\d+)/\1 shards", log.read_text()), log.read_text()
    assert "all frames are on every node that can carry out a run" in log.read_text()
