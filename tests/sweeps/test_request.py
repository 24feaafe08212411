"""Bad requests: every fault in one message, exit code 2, before Ray starts and without touching what is recorded."""

import shutil
import subprocess
import sys
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from fsar_core.data import cache_room
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.table import Table
from sweeps.engine import launch, request
from sweeps.engine.site import Site
from tests.fsar_core.videos import cut_file
from tests.sweeps.made_folder import files, launched, refusals, table_of, write_site, write_videos


class Home(NamedTuple):
    """A sound data set, and an index of it that all tests share."""

    videos: Path
    cache: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    return Home(write_videos(folder / "videos"), folder / "cache")


@pytest.fixture(autouse=True)
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Something is on record already; no test here may change it or start Ray."""

    def started(_: Site) -> None:
        pytest.fail("Ray is started")

    monkeypatch.setattr(launch, "ray_session", started)
    run = tmp_path / "output" / "runs" / "0123-4567" / "run.json"
    run.parent.mkdir(parents=True)
    run.write_text("{}")
    before = files(tmp_path / "output" / "runs")
    yield
    assert files(tmp_path / "output" / "runs") == before


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Few videos, for faults that are found while reading them."""
    return write_videos(tmp_path / "small", classes=1, counts={"train": 2, "val": 1, "test": 1})


def test_a_sound_request_is_not_refused(tmp_path: Path, home: Home) -> None:
    result = launched(write_site(tmp_path, home.videos, cache=home.cache), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "trainings 2: 0 known, 0 begun; 1 are needed by others first" in " ".join(result.output.split())


@pytest.mark.parametrize("mode", [(), ("--dry-run",), ("--search", "3"), ("--search", "3", "--dry-run")], ids=str)
def test_all_faults_of_flags_and_site_come_together(tmp_path: Path, mode: tuple[str, ...]) -> None:
    site = write_site(tmp_path, tmp_path, head='cpus_per_run = -1\ncolour = "red"')
    faults = refusals(launched(site, *mode, "--seeds", "0", "--preset", "best"))
    assert len(faults) == 4
    text = "\n".join(faults)
    for part in (
        "--seeds must be between 1 and 100, got 0",
        "--preset must be one of clean, hyrsm, laptop, laptop64, molo, smoke, strm, tiny, trx, vim, got 'best'",
        f"site {site}: cpus_per_run: Input should be greater than 0, got -1",
        f"site {site}: colour: there is no such key; it must be one of storage",
    ):
        assert part in text


def test_faults_of_flags_and_data_come_together(tmp_path: Path) -> None:
    faults = refusals(launched(write_site(tmp_path, tmp_path / "none"), "--seeds", "101", "--search", "-2", "--fresh"))
    assert [fault.split()[0] for fault in faults] == ["--search", "--seeds", "data"]
    assert "got '-2'" in faults[0]
    assert "got 101" in faults[1]
    assert f"{tmp_path / 'none'}: no such folder" in faults[2]


def test_an_unknown_site_names_the_shipped_ones() -> None:
    (fault,) = refusals(launched("laptpo"))
    assert "name one of cluster, kubernetes, laptop, laptop-tiny, loopback, one_gpu, slurm, workstation" in fault


def test_an_unknown_data_set_names_those_of_the_site(tmp_path: Path) -> None:
    (fault,) = refusals(launched(write_site(tmp_path, tmp_path), "--dataset", "hmdb15"))
    assert fault.startswith("data set 'hmdb15' is not in the site file; it has: hmdb51; imported are: none.")


@pytest.mark.parametrize("mode", [(), ("--search", "3")], ids=str)
def test_every_class_with_too_few_videos_is_named(tmp_path: Path, mode: tuple[str, ...]) -> None:
    root = write_videos(tmp_path / "videos")
    (root / "train" / "train 1" / "0.mp4").unlink()
    (root / "val" / "val 4" / "1.mp4").unlink()
    faults = refusals(launched(write_site(tmp_path, root), *mode))
    assert faults == [
        "1-shot episodes with 4 queries per class need 5 videos a class, but 'train 1' in train has 4",
        "1-shot episodes with 1 queries per class need 2 videos a class, but 'val 4' in val has 1",
    ]


def test_too_few_classes_are_named_for_every_split(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos")
    shutil.rmtree(root / "train" / "train 0")
    for label in (0, 1, 2):
        shutil.rmtree(root / "test" / f"test {label}")
    faults = refusals(launched(write_site(tmp_path, root)))
    assert faults == [
        "5-way episodes need 5 classes in train, which has 4",
        "5-way episodes need 5 classes in test, which has 2",
        "3-way episodes need 3 classes in test, which has 2",
    ]


def free(count: int, _: Path) -> int:
    return count


def spoil(root: Path) -> list[Path]:
    """Three videos that cannot be read, each in its own way."""
    folder = root / "train" / "train 0"
    empty, truncated, corrupt = (folder / f"{name}.mp4" for name in ("empty", "truncated", "corrupt"))
    empty.touch()
    cut_file(folder / "0.mp4", truncated, 0.5)
    corrupt.write_bytes(b"no video at all " * 100)
    return [empty, truncated, corrupt]


def test_unreadable_videos_are_listed_with_reasons(tmp_path: Path, small: Path) -> None:
    spoilt = spoil(small)
    (fault,) = refusals(launched(write_site(tmp_path, small)))
    lines = fault.splitlines()
    assert lines[0] == "data set 'hmdb51' cannot be used, 4 faults:"
    for path in spoilt:
        (line,) = [line for line in lines if str(path) in line]
        assert len(line.split(f"{path}: ")[1]) > 5
    assert "allow that they are excluded" in lines[-1]


def test_unreadable_videos_are_left_out_and_listed_where_the_site_says_so(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos")
    spoil(root)
    result = launched(write_site(tmp_path, root, entry="exclude_unreadable = true"), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "left out, because they cannot be read: 3 videos of hmdb51" in result.output
    for name in ("empty", "truncated", "corrupt"):
        assert f"  train 0/{name}: " in result.output


def test_names_with_brackets_are_printed_as_they_are(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos")
    (root / "train" / "train 0").rename(root / "train" / "Pushing [red]")
    (root / "train" / "Pushing [red]" / "empty.mp4").touch()
    result = launched(write_site(tmp_path, root, entry="exclude_unreadable = true"), "--dry-run")
    assert "  Pushing [red]/empty: " in result.output
    (fault,) = refusals(launched(write_site(tmp_path, root)))
    assert "Pushing [red]/empty.mp4: " in fault


@pytest.mark.parametrize("key", ["storage", "cache"])
def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path, home: Home, key: str) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "below"
    site = write_site(tmp_path, home.videos, cache=place if key == "cache" else home.cache,
                      head=f'storage = "{place}"' if key == "storage" else "")  # fmt: skip
    (fault,) = refusals(launched(site))
    assert fault == f"{place} cannot be written: Not a directory; free it or name another folder in the site file"


def test_a_benchmark_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    site = write_site(tmp_path, tmp_path)
    site.write_text(site.read_text() + f'[datasets.motionshapes]\nroot = "{tmp_path / "file" / "below"}"\n')
    (fault,) = refusals(launched(site, "--dataset", "motionshapes"))
    assert str(tmp_path / "file") in fault
    assert fault.endswith("; the data set must be readable, or be made there")


def test_a_full_disk_is_refused_with_what_is_there_and_needed(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "bytes_free", partial(free, 1 << 28))
    faults = refusals(launched(write_site(tmp_path, home.videos, cache=home.cache)))
    assert faults[0] == f"{tmp_path / 'output'} has 0.25 GiB free; at least 1 GiB are needed"
    assert faults[1].startswith(str(home.cache))


@pytest.mark.parametrize("mode", [(), ("--search", "2")], ids=str)
def test_frames_that_do_not_fit_on_the_disk_are_refused_before_any_is_decoded(
    tmp_path: Path, home: Home, uri: str, mode: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = write_site(tmp_path, home.videos, cache=home.cache, head=f'tracking_uri = "{uri}"')
    monkeypatch.setattr(request, "bytes_free", partial(free, 1 << 40))
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)

    def disk(_: Path) -> object:
        return usage

    monkeypatch.setattr(cache_room.shutil, "disk_usage", disk)
    (fault,) = refusals(launched(site, *mode))
    assert "frame cache: " in fault
    assert "its disk has 1000 bytes" in fault
    assert not list(home.cache.rglob("*.arrow"))


def test_a_second_driver_of_the_same_sweep_is_refused(tmp_path: Path, home: Home) -> None:
    lock = tmp_path / "output" / "locks" / "made.lock"
    lock.parent.mkdir()
    hold = "import sys, filelock as f; l = f.FileLock(sys.argv[1]); l.acquire(); print('held', flush=True); input()"
    command = [sys.executable, "-c", hold, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        (fault,) = refusals(launched(write_site(tmp_path, home.videos, cache=home.cache)))
        other.communicate("\n")
    assert fault == f"another driver runs 'made' on this storage (lock {lock}); wait for it or stop it"


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (1.0, "ratio: Input should be less than 1, got 1.0"),
        (-0.25, "ratio: Input should be greater than or equal to 0, got -0.25"),
        (
            0.95,
            "RunConfig: method: loss 'masked_reconstruction': mask ratio 0.95 with strategy 'random' leaves no visible",
        ),
    ],
)
@pytest.mark.parametrize("mode", [(), ("--dry-run",)], ids=str)
def test_a_mask_ratio_that_leaves_nothing_is_refused_with_its_field(
    tmp_path: Path, home: Home, ratio: float, said: str, mode: tuple[str, ...]
) -> None:
    def masked(recipe: Recipe) -> Table:
        return table_of(sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy="random", ratio=ratio)))

    (fault,) = refusals(launched(write_site(tmp_path, home.videos, cache=home.cache), *mode, grid=masked))
    assert fault.startswith("the grid of this sweep: ")
    assert said in fault
    assert len(fault) < 400


def test_a_tracking_store_that_cannot_be_used_stops_the_sweep_before_it_begins(tmp_path: Path, home: Home) -> None:
    (tmp_path / "file").touch()
    uri = f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}"
    result = launched(write_site(tmp_path, home.videos, cache=home.cache, head=f'tracking_uri = "{uri}"'))
    assert result.exit_code == 2
    assert f"stopped the MLflow store {uri} must be reachable and writable" in result.output


@pytest.mark.parametrize("mode", [(), ("--dry-run",)], ids=str)
def test_a_study_database_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, home: Home, mode: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    uri = f"sqlite:///{tmp_path / 'file' / 'studies.db'}"
    site = write_site(tmp_path, home.videos, cache=home.cache, head=f'study_uri = "{uri}"')
    (fault,) = refusals(launched(site, "--search", "2", *mode))
    assert f"the Optuna database {uri} must be reachable and writable" in fault
    monkeypatch.setenv("STUDY_PASSWORD", "secret")
    site = write_site(
        tmp_path, home.videos, cache=home.cache, head='study_uri = "nosuch://me:${STUDY_PASSWORD}@host/db"'
    )
    (fault,) = refusals(launched(site, "--search", "2", *mode))
    assert "nosuch://***@host/db" in fault
    assert "secret" not in fault


@pytest.mark.parametrize("flags", [("--seeds", "many"), ("--unknown",)], ids=str)
def test_flags_that_are_none_end_with_the_same_code(tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert launched(write_site(tmp_path, tmp_path), *flags).exit_code == 2


def test_pretrained_weights_that_are_not_there_are_refused(tmp_path: Path, home: Home) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    site = write_site(tmp_path, home.videos, cache=home.cache, head=f'weights = "{weights}"')
    result = launched(site, "--preset", "clean", "--dry-run")
    assert result.exit_code == 2
    assert "resnet50-0676ba61.pth" in result.output
    (weights / "resnet50-0676ba61.pth").write_bytes(b"cut")
    again = launched(site, "--preset", "clean", "--dry-run")
    assert again.exit_code == 2
    assert "resnet50-0676ba61.pth" in again.output


def test_faults_of_flags_data_and_weights_come_in_one_message(tmp_path: Path, small: Path) -> None:
    site = write_site(tmp_path, small, head=f'weights = "{tmp_path}"')
    result = launched(site, "--preset", "clean", "--seeds", "0")
    assert result.exit_code == 2
    faults = ("--seeds must be between", "5-way episodes need 5 classes in train, which has 1", "resnet50-0676ba61.pth")
    assert [fault for fault in faults if fault not in result.output] == []
