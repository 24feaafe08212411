import errno
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from fsar_core import aside
from fsar_core.data import cache_shards
from fsar_core.data.cache_building import build_cache
from fsar_core.data.cache_contents import Contents
from fsar_core.data.clip_index import ClipIndex, index_folder
from fsar_core.data.frame_cache import CacheError, FrameCache
from fsar_core.data.resize import Resize, resize_frames
from fsar_core.data.stores.location import Location
from fsar_core.data.video import Probe, read_frames
from fsar_core.frozen import Frozen
from tests.fsar_core.videos import cut_file, numbers_in, write_video

SMALL = Resize("squeeze", 32)
LAYOUT = [("train", "run"), ("val", "sit"), ("test", "wave")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    for count, (split, label) in enumerate(LAYOUT):
        write_video(root / split / label / "a.mp4", 10 + count)
        write_video(root / split / label / "b.webm", 6, codec="libvpx", height=96, width=72)
    return root


@pytest.fixture(scope="module")
def contents(root: Path) -> Contents:
    """Every frame of every clip."""
    return Contents(name="toy", clips=indexed(root).clips, resize=SMALL)


@pytest.fixture
def tiny_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each clip in its own shard."""
    monkeypatch.setattr(cache_shards, "_MIN_BYTES", 1)


def indexed(root: Path) -> ClipIndex:
    return index_folder("toy", root, exclude_unreadable=False, workers=1, memory=root.parent / "memory.parquet")


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded from now on."""
    names: list[str] = []

    def read(where: Location, pick: list[int], probed: Probe) -> NDArray[np.uint8]:
        names.append(f"{where.path.parent.name}/{where.path.stem}")
        return read_frames(where.path, pick, probed)

    monkeypatch.setattr(cache_shards, "read_frames", read)
    return names


@pytest.mark.parametrize("resize", [SMALL, Resize("short_side", 48)], ids=["squeeze", "short_side"])
def test_every_clip_comes_back_frame_by_frame(contents: Contents, tmp_path: Path, resize: Resize) -> None:
    cache = build_cache(replace(contents, resize=resize), tmp_path)
    for clip in contents.clips:
        frames = cache.clip(clip.name).frames()
        expected = resize_frames(read_frames(clip.path, None), *resize.shape(clip.height, clip.width))
        np.testing.assert_array_equal(frames, expected)
        assert numbers_in(frames) == list(range(clip.frames))
    cache.verify()


def test_two_worker_processes_write_the_same_as_one(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_shards, "_MIN_BYTES", 60_000)
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    one = build_cache(contents, tmp_path / "one")
    two = build_cache(contents, tmp_path / "two", workers=2, progress=progress)
    names = sorted(path.name for path in one.folder.iterdir())
    assert len(names) > 4
    assert names == sorted(path.name for path in two.folder.iterdir())
    assert all((one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in names)
    assert calls == [(done, len(calls) - 1) for done in range(len(calls))]


def test_frames_are_views_of_the_file_that_nobody_can_write(contents: Contents, tmp_path: Path) -> None:
    cache = build_cache(contents, tmp_path)
    frame = cache.clip("run/a").frame(3)
    assert not frame.flags.owndata
    assert not frame.flags.writeable
    assert cache.clip("run/a") is cache.clip("run/a")
    assert "run/a" in cache
    with pytest.raises(KeyError, match="is not in the frame cache"):
        cache.clip("run/z")


def test_a_complete_cache_is_opened_without_decoding(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_cache(contents, tmp_path)
    names = decoded(monkeypatch)
    build_cache(contents, tmp_path).verify()
    assert names == []


def test_a_pickled_cache_opens_its_own_files(contents: Contents, tmp_path: Path) -> None:
    cache = build_cache(contents, tmp_path)
    cache.clip("run/a")
    copy = pickle.loads(pickle.dumps(cache))
    assert len(pickle.dumps(cache)) < 1000
    np.testing.assert_array_equal(copy.clip("run/a").frames(), cache.clip("run/a").frames())


def test_the_folder_names_videos_size_and_coding(contents: Contents, tmp_path: Path) -> None:
    first, *others = contents.clips
    variants = [
        contents,
        replace(contents, clips=tuple(others)),
        replace(contents, clips=(replace(first, content="other"), *others)),
        replace(contents, clips=(replace(first, fps=25.0), *others)),
        replace(contents, resize=Resize("short_side", 32)),
        replace(contents, resize=Resize("squeeze", 33)),
        replace(contents, jpeg=90),
        replace(contents, jpeg=91),
    ]
    assert len({variant.folder(tmp_path) for variant in variants}) == len(variants)
    assert len({variant.folder(tmp_path).parent for variant in variants}) == len(variants)
    moved = replace(contents, name="other", clips=tuple(replace(clip, path=Path("/x")) for clip in contents.clips))
    assert moved.folder(tmp_path) == contents.folder(tmp_path)


@pytest.mark.usefixtures("tiny_shards")
def test_a_build_that_was_killed_goes_on_with_what_is_missing(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_cache(contents, tmp_path).folder
    (folder / "manifest.json").unlink()
    (folder / "shard-00001.arrow").write_bytes((folder / "shard-00001.arrow").read_bytes()[:1000])  # half-written
    (folder / "shard-00003.json").unlink()  # renamed, but not yet recorded
    abandoned = folder / "shard-00004.arrow.aside-1-0123abcd"
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    names = decoded(monkeypatch)
    build_cache(contents, tmp_path).verify()
    assert names == [contents.clips[1].name, contents.clips[3].name]
    assert not abandoned.exists()


@pytest.mark.usefixtures("tiny_shards")
def test_a_shard_cut_after_completion_is_refused_and_made_again(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_cache(contents, tmp_path).folder
    os.truncate(folder / "shard-00002.arrow", 2000)
    with pytest.raises(CacheError, match="missing or cut"):
        FrameCache(folder)
    names = decoded(monkeypatch)
    build_cache(contents, tmp_path).verify()
    assert names == [contents.clips[2].name]


def test_a_flipped_bit_is_found_by_verify(contents: Contents, tmp_path: Path) -> None:
    cache = build_cache(contents, tmp_path)
    shard = cache.folder / "shard-00000.arrow"
    content = bytearray(shard.read_bytes())
    pixels = cache.clip("sit/a").stored().tobytes()
    content[content.index(pixels) + 5] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CacheError, match=r"damaged frames of \['sit/a'\]"):
        FrameCache(cache.folder).verify()


def test_concurrent_builders_give_one_valid_cache(contents: Contents, root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fsar_core.data.cache_building import build_cache\n"
        "from fsar_core.data.cache_contents import Contents; from fsar_core.data.resize import Resize\n"
        "from fsar_core.data.clip_index import index_folder\n"
        "root, cache = map(Path, sys.argv[1:])\n"
        "memory = root.parent / 'memory.parquet'\n"
        "index = index_folder('toy', root, exclude_unreadable=False, workers=1, memory=memory)\n"
        "contents = Contents(name='toy', clips=index.clips, resize=Resize('squeeze', 32))\n"
        "build_cache(contents, cache).verify()\n"
    )
    command = [sys.executable, "-c", code, str(root), str(tmp_path)]
    builders = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [builder.communicate(timeout=60)[1] for builder in builders] == ["", ""]
    assert [builder.returncode for builder in builders] == [0, 0]
    names = sorted(path.name for path in contents.folder(tmp_path).iterdir())
    assert names == ["about.json", "manifest.json", "shard-00000.arrow", "shard-00000.json"]


def test_a_folder_that_cannot_be_written_is_named(contents: Contents, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(CacheError, match=r"file/layout2/\w+/all cannot be written .*give another folder"):
        build_cache(contents, blocked)


def test_a_full_disk_is_refused_before_anything_is_decoded(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    def nearly_full(path: Path) -> Usage:
        return Usage(free=500)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    needed = int(sum(clip.frames for clip in contents.clips) * 32 * 32 * 3 * 1.01)
    with pytest.raises(CacheError, match=f"needs {needed} bytes .* has 500 bytes") as caught:
        build_cache(contents, tmp_path)
    assert "as JPEG of quality 95 they would take about 0.00 GB: set data.jpeg of the run (--jpeg 95)" in str(
        caught.value
    )
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    with pytest.raises(CacheError, match="has 500 bytes") as caught:
        build_cache(replace(contents, jpeg=90), tmp_path)
    assert "--jpeg" not in str(caught.value)
    assert not list(tmp_path.rglob("*.arrow"))


def test_a_failing_write_is_reported_and_leaves_no_shard(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[object] = []

    def full(*_: object) -> None:
        synced.append(1)
        if len(synced) > 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(aside.os, "fsync", full)
    with pytest.raises(CacheError, match=r"shard-00000.arrow: cannot be written \(No space left on device\)"):
        build_cache(contents, tmp_path)
    assert [path.name for path in contents.folder(tmp_path).iterdir()] == ["about.json"]


def test_all_videos_that_went_bad_since_indexing_are_listed(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    contents = Contents(name="toy", clips=indexed(copy).clips, resize=SMALL)
    cut_file(root / "val/sit/a.mp4", copy / "val/sit/a.mp4", 0.5)
    write_video(copy / "train/run/a.mp4", 8)
    with pytest.raises(CacheError) as caught:
        build_cache(contents, tmp_path / "cache")
    assert f"{copy / 'val/sit/a.mp4'}: truncated" in str(caught.value)
    assert f"{copy / 'train/run/a.mp4'}: changed since it was indexed: 10 frames then, 8 now" in str(caught.value)


@pytest.mark.parametrize(
    ("resize", "size", "expected"),
    [
        (Resize("squeeze", 64), (72, 96), (64, 64)),
        (Resize("short_side", 64), (72, 96), (64, 85)),
        (Resize("short_side", 64), (96, 72), (85, 64)),
        (Resize("short_side", 256), (240, 426), (256, 454)),
    ],
)
def test_resized_shapes(resize: Resize, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resize.shape(*size) == expected


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = resize_frames(np.repeat(checks[None, :, :, None], 3, 3), 16, 16)
    assert small.shape == (1, 16, 16, 3)
    assert abs(int(small[0, 8, 8, 0]) - 127) < 4


def test_a_resize_is_checked_and_survives_json() -> None:
    class Holder(Frozen):
        resize: Resize

    holder = Holder(resize=SMALL)
    assert Holder.model_validate_json(holder.canonical_json()) == holder
    with pytest.raises(ValidationError):
        Resize("squeeze", 0)
    with pytest.raises(ValidationError):
        Resize("stretch", 64)  # pyright: ignore[reportArgumentType] - the wrong value is the test
