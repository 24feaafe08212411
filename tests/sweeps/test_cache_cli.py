"""``fsar data cache``: what it says before it starts, what it refuses, what it leaves; Ray is not started."""

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from fsar_core.data import cache_room
from fsar_core.data.cache_building import ABOUT, Written, by_processes
from fsar_core.data.cache_contents import contents_of
from fsar_core.data.cache_shards import ShardTask
from fsar_core.data.datasets import open_index
from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.frame_cache import FrameCache
from fsar_core.presets import PRESETS
from fsar_core.presets.coding import with_jpeg
from sweeps.engine import decoding, launch, request
from sweeps.engine.cache_cli import cache
from sweeps.engine.site import Site, load_site
from tests.fsar_core.videos import cut_file
from tests.sweeps.made_folder import files, launched, refusals, write_site, write_videos

SMOKE = ("--preset", "smoke")


def here(tasks: Sequence[ShardTask], node: str | None) -> Written:
    """In place of Ray."""
    assert node is None
    return by_processes(tasks, 1)


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_session(_: Site) -> nullcontext[None]:
        return nullcontext()

    monkeypatch.setattr(launch, "ray_session", no_session)
    monkeypatch.setattr(decoding, "_by_ray", here)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path, write_videos(tmp_path / "videos", classes=2, counts={"train": 2, "val": 1, "test": 1}))


def called(site: Path, *flags: str, dataset: str = "hmdb51") -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(cache)
    return CliRunner().invoke(app, [dataset, "--site", str(site), *flags])


def folders(site: Path, *, preset: str = "smoke", jpeg: int | None = None) -> list[Path]:
    place = load_site(str(site)).place("hmdb51")
    recipe = with_jpeg(PRESETS[preset]("hmdb51"), jpeg)
    return [each.folder(place.frames_root()) for each in contents_of(open_index(place), recipe.data, SPLITS)]


def test_it_says_both_sizes_and_leaves_caches_that_runs_find(site: Path) -> None:
    result = called(site, *SMOKE)
    assert result.exit_code == 0, result.output
    for pattern in (
        r"hmdb51, preset smoke: squeeze 56, stored raw",
        r"split +clips +keeps +frames +raw +JPEG 95, about +shards here",
        r"train +4 +all +36 +0.00 GB +0.00 GB +0 of 1",
        r"test +2 +segment-centre-8 +16 ",
        r"GB free",
        r"decoding hmdb51 train: 1/1 shards, [\d.]+ clips/s, 0.00 GB, 0.0 min left",
        r"all frames are there: 0.00 GB in ",
    ):
        assert re.search(pattern, result.output), (pattern, result.output)
    for folder in folders(site):
        FrameCache(folder).verify()
    before = files(site.parent / "cache" / "frames")
    again = called(site, *SMOKE)
    assert "decoding" not in again.output
    assert again.output.count("complete") == 3
    assert files(site.parent / "cache" / "frames") == before


def test_a_dry_run_decodes_nothing(site: Path) -> None:
    assert called(site, *SMOKE, "--dry-run").exit_code == 0
    assert not (site.parent / "cache" / "frames").exists()


def test_jpeg_and_frames_choose_other_caches(site: Path) -> None:
    result = called(site, *SMOKE, "--jpeg", "90", "--frames", "4")
    assert result.exit_code == 0, result.output
    assert "preset smoke-jpeg90: squeeze 56, stored JPEG 90" in result.output
    assert "segment-centre-4" in result.output
    assert folders(site, jpeg=90)[0].is_dir()
    assert not any(folder.exists() for folder in folders(site))


def test_all_faults_of_the_flags_come_together(site: Path) -> None:
    faults = refusals(called(site, "--preset", "best", "--jpeg", "0", "--frames", "65", dataset="ucf101"))
    starts = (
        "--frames must be from 1 to 64",
        "--jpeg must be a quality from 1 to 100, got 0",
        "--preset must be one of",
    )
    assert [fault.startswith(start) for fault, start in zip(faults, starts, strict=False)] == [True] * 3
    assert "data set 'ucf101'" in faults[3]
    assert len(faults) == 4


def test_a_disk_that_is_too_small_is_refused_with_both_sizes(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(site)._replace(free=1000)

    def disk(_: Path) -> object:
        return usage

    def plenty(_: Path) -> int:
        return 1 << 40

    monkeypatch.setattr(cache_room.shutil, "disk_usage", disk)
    monkeypatch.setattr(request, "bytes_free", plenty)
    (fault,) = refusals(called(site, *SMOKE))
    for part in ("for hmdb51 train, hmdb51 val, hmdb51 test", "has 1000 bytes", "(--jpeg 95)", "frames may take 90%"):
        assert part in fault
    assert not list(site.parent.rglob("*.arrow"))


def test_videos_that_break_while_decoding_are_listed(site: Path) -> None:
    assert called(site, *SMOKE, "--dry-run").exit_code == 0
    video = site.parent / "videos" / "train" / "train 0" / "0.mp4"
    stamp = video.stat()
    whole = video.read_bytes()
    cut_file(video, video, 0.5)
    video.write_bytes(video.read_bytes().ljust(len(whole), b"\0"))
    os.utime(video, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    result = called(site, *SMOKE)
    assert result.exit_code == 2
    assert "stopped" in result.output
    assert str(video) in result.output


def test_unused_caches_are_removed_and_others_left(site: Path) -> None:
    frames = site.parent / "cache" / "frames"
    called(site, *SMOKE)
    called(site, *SMOKE, "--jpeg", "90")
    for own in ("brush_hair/a/00000001.jpg", "fedcba9876543210/00000001.jpg", "notes.txt"):  # of the user
        (frames / own).parent.mkdir(parents=True, exist_ok=True)
        (frames / own).touch()
    kept = files(frames)
    (frames / "0123456789abcdef").mkdir()
    (frames / "0123456789abcdef" / "manifest.json").write_text("{}")
    (frames / "0123456789abcdef.lock").touch()
    stale = frames / "layout2" / "fedcba9876543210" / "all"
    shutil.copytree(folders(site)[0], stale)
    about = (stale / ABOUT).read_text()
    older = shutil.copytree(stale, stale.with_name("linspace-8"))
    (older / ABOUT).write_text(re.sub("pillow [0-9.]+", "pillow 1.0", about))
    plan = called(site, *SMOKE, "--remove-unused", "--dry-run")
    assert plan.output.count("\nwould remove ") == 4
    assert stale.exists()
    result = called(site, *SMOKE, "--remove-unused")
    for part in ("of an earlier version", "hmdb51 train has other videos now", "pillow 1.0, now it is"):
        assert part in result.output
    assert result.output.count("\nremoved ") == 4
    assert files(frames) == kept


def test_jpeg_is_another_training_under_another_name(tmp_path: Path) -> None:
    site = write_site(tmp_path, write_videos(tmp_path / "videos"))
    assert launched(site, "--dry-run", "--jpeg", "90").exit_code == 0
    (fault,) = refusals(launched(site, "--dry-run", "--jpeg", "101"))
    assert fault == "--jpeg must be a quality from 1 to 100, got 101"
    recipe = PRESETS["smoke"]("hmdb51")
    changed = with_jpeg(recipe, 90)
    assert changed.data.jpeg == 90
    assert [need.run.data.jpeg for need in changed.needs] == [90]
    assert with_jpeg(recipe, None) == recipe


@pytest.mark.parametrize("columns", ["100", "150"])
def test_the_sizes_fit_the_terminal(site: Path, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = called(site, "--preset", "trx", "--dry-run").output.splitlines()
    rows = [line for line in lines if line.lstrip().startswith(("train", "split"))]
    assert len(rows) == 2
    assert max(map(len, rows)) <= int(columns)
    assert "inner-linspace-8+jitter-ends-8" in rows[1]
