import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from fsar_core import aside
from fsar_core.data import cache_shards
from fsar_core.data.clip_index import ClipIndex, index_folder
from fsar_core.data.frame_cache import CacheError, FrameCache, Resize, build_cache, cache_key
from fsar_core.data.resize import resize_frames
from fsar_core.data.video import read_frames
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
def index(root: Path) -> ClipIndex:
    return indexed(root)


@pytest.fixture
def tiny_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each clip in its own shard."""
    monkeypatch.setattr(cache_shards, "_MIN_BYTES", 1)


def indexed(root: Path) -> ClipIndex:
    return index_folder("toy", root, exclude_unreadable=False, workers=1, memory=root.parent / "memory.parquet")


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded from now on."""
    names: list[str] = []

    def read(path: Path, pick: None) -> NDArray[np.uint8]:
        names.append(f"{path.parent.name}/{path.stem}")
        return read_frames(path, pick)

    monkeypatch.setattr(cache_shards, "read_frames", read)
    return names


@pytest.mark.parametrize("resize", [SMALL, Resize("short_side", 48)], ids=["squeeze", "short_side"])
def test_every_clip_comes_back_frame_by_frame(index: ClipIndex, tmp_path: Path, resize: Resize) -> None:
    cache = build_cache(index, resize, tmp_path, workers=1)
    for clip in index.clips:
        frames = cache.frames(clip.name)
        expected = resize_frames(read_frames(clip.path, None), *resize.shape(clip.height, clip.width))
        np.testing.assert_array_equal(frames, expected)
        assert numbers_in(frames) == list(range(clip.frames))
    cache.verify()


def test_two_worker_processes_write_the_same_as_one(
    index: ClipIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_shards, "_MIN_BYTES", 60_000)
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    one = build_cache(index, SMALL, tmp_path / "one", workers=1)
    two = build_cache(index, SMALL, tmp_path / "two", workers=2, progress=progress)
    names = sorted(path.name for path in one.folder.iterdir())
    assert len(names) > 4
    assert names == sorted(path.name for path in two.folder.iterdir())
    assert all((one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in names)
    assert calls == [(done, len(calls) - 1) for done in range(len(calls))]


def test_frames_are_views_of_the_file_that_nobody_can_write(index: ClipIndex, tmp_path: Path) -> None:
    cache = build_cache(index, SMALL, tmp_path, workers=1)
    frames = cache.frames("run/a")
    assert not frames.flags.owndata
    assert not frames.flags.writeable
    assert cache.frames("run/a") is frames
    assert "run/a" in cache
    with pytest.raises(KeyError, match="is not in the frame cache"):
        cache.frames("run/z")


def test_a_complete_cache_is_opened_without_decoding(
    index: ClipIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_cache(index, SMALL, tmp_path, workers=1)
    names = decoded(monkeypatch)
    build_cache(index, SMALL, tmp_path, workers=1).verify()
    assert names == []


def test_a_pickled_cache_opens_its_own_files(index: ClipIndex, tmp_path: Path) -> None:
    cache = build_cache(index, SMALL, tmp_path, workers=1)
    cache.frames("run/a")
    copy = pickle.loads(pickle.dumps(cache))
    assert len(pickle.dumps(cache)) < 1000
    np.testing.assert_array_equal(copy.frames("run/a"), cache.frames("run/a"))


def test_the_key_names_videos_and_size(index: ClipIndex) -> None:
    other = ClipIndex.of_clips("toy", index.clips[1:])
    keys = {
        cache_key(index, SMALL),
        cache_key(other, SMALL),
        cache_key(index, Resize("short_side", 32)),
        cache_key(index, Resize("squeeze", 33)),
    }
    assert len(keys) == 4


@pytest.mark.usefixtures("tiny_shards")
def test_a_build_that_was_killed_goes_on_with_what_is_missing(
    index: ClipIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_cache(index, SMALL, tmp_path, workers=1).folder
    (folder / "manifest.json").unlink()
    (folder / "shard-00001.arrow").write_bytes((folder / "shard-00001.arrow").read_bytes()[:1000])  # half-written
    (folder / "shard-00003.json").unlink()  # renamed, but not yet recorded
    abandoned = folder / "shard-00004.arrow.aside-1-aa"
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    names = decoded(monkeypatch)
    build_cache(index, SMALL, tmp_path, workers=1).verify()
    assert names == [index.clips[1].name, index.clips[3].name]
    assert not abandoned.exists()


@pytest.mark.usefixtures("tiny_shards")
def test_a_shard_cut_after_completion_is_refused_and_made_again(
    index: ClipIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_cache(index, SMALL, tmp_path, workers=1).folder
    os.truncate(folder / "shard-00002.arrow", 2000)
    with pytest.raises(CacheError, match="missing or cut"):
        FrameCache(folder)
    names = decoded(monkeypatch)
    build_cache(index, SMALL, tmp_path, workers=1).verify()
    assert names == [index.clips[2].name]


def test_a_flipped_bit_is_found_by_verify(index: ClipIndex, tmp_path: Path) -> None:
    cache = build_cache(index, SMALL, tmp_path, workers=1)
    shard = cache.folder / "shard-00000.arrow"
    content = bytearray(shard.read_bytes())
    pixels = cache.frames("sit/a").tobytes()
    content[content.index(pixels) + 5] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CacheError, match=r"damaged frames of \['sit/a'\]"):
        FrameCache(cache.folder).verify()


def test_concurrent_builders_give_one_valid_cache(index: ClipIndex, root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fsar_core.data.frame_cache import Resize, build_cache\n"
        "from fsar_core.data.clip_index import index_folder\n"
        "root, cache = map(Path, sys.argv[1:])\n"
        "memory = root.parent / 'memory.parquet'\n"
        "index = index_folder('toy', root, exclude_unreadable=False, workers=1, memory=memory)\n"
        "build_cache(index, Resize('squeeze', 32), cache, workers=1).verify()\n"
    )
    command = [sys.executable, "-c", code, str(root), str(tmp_path)]
    builders = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [builder.communicate(timeout=60)[1] for builder in builders] == ["", ""]
    assert [builder.returncode for builder in builders] == [0, 0]
    folder = tmp_path / cache_key(index, SMALL)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "shard-00000.arrow", "shard-00000.json"]


def test_a_folder_that_cannot_be_written_is_named(index: ClipIndex, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(CacheError, match=r"file/\w+ cannot be written .*give another folder"):
        build_cache(index, SMALL, blocked, workers=1)


def test_a_full_disk_is_refused_before_anything_is_decoded(
    index: ClipIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    def nearly_full(path: Path) -> Usage:
        return Usage(free=500)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    names = decoded(monkeypatch)
    needed = int(sum(clip.frames for clip in index.clips) * 32 * 32 * 3 * 1.01)
    with pytest.raises(CacheError, match=f"needs {needed} bytes .* has 500 bytes"):
        build_cache(index, SMALL, tmp_path, workers=1)
    assert names == []


def test_a_failing_write_is_reported_and_leaves_no_shard(
    index: ClipIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(aside.os, "fsync", full)
    with pytest.raises(CacheError, match=r"shard-00000.arrow: cannot be written \(No space left on device\)"):
        build_cache(index, SMALL, tmp_path, workers=1)
    assert list((tmp_path / cache_key(index, SMALL)).iterdir()) == []


def test_all_videos_that_went_bad_since_indexing_are_listed(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    index = indexed(copy)
    cut_file(root / "val/sit/a.mp4", copy / "val/sit/a.mp4", 0.5)
    write_video(copy / "train/run/a.mp4", 8)
    with pytest.raises(CacheError) as caught:
        build_cache(index, SMALL, tmp_path / "cache", workers=1)
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
