"""Which frames a cache keeps: all that a sampling may ask for, hardly more; the same pixels; nothing decoded twice."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from fsar_core.data import cache_shards
from fsar_core.data.cache_building import build_cache, find_cache, missing_shards
from fsar_core.data.cache_contents import CacheError, Contents
from fsar_core.data.clip_index import ClipIndex, index_folder
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.datasets import DatasetPlace, decode_splits, open_splits
from fsar_core.data.frame_sampling import FrameSampling, frame_indices, reachable
from fsar_core.data.kept_frames import EVERY_FRAME, Kept, kept_for
from fsar_core.data.processes import Progress
from fsar_core.data.resize import Resize
from fsar_core.seeds import generator
from tests.fsar_core.videos import numbers_in, write_video

SAMPLINGS: tuple[FrameSampling, ...] = get_args(FrameSampling)
LONG, SHORT = 60, 5


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ClipIndex:
    """In each split two clips, one with fewer frames than are wanted."""
    root = tmp_path_factory.mktemp("videos")
    for split, label in (("train", "run"), ("val", "sit"), ("test", "wave")):
        write_video(root / "set" / split / label / "a.mp4", LONG)
        write_video(root / "set" / split / label / "b.mp4", SHORT)
    memory = root / "memory.parquet"
    return index_folder("toy", root / "set", exclude_unreadable=False, workers=1, memory=memory)


def config(**changes: object) -> DataConfig:
    base = DataConfig(dataset="toy", frames=8, resize=Resize("squeeze", 48), crop=48, random_crop=False)
    return base.model_copy(update=changes)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("fps", [12.0, 25.0, 29.97])
def test_every_draw_is_within_reach_and_every_index_within_reach_is_drawn(sampling: FrameSampling, fps: float) -> None:
    for total, frames in ((3, 8), (8, 8), (9, 8), (21, 8), (64, 8), (150, 8), (301, 8), (40, 16)):
        within = reachable(sampling, total, frames, fps)
        assert (np.diff(within) > 0).all()
        rng = generator(0, "draws", total, frames)
        drawn = {int(i) for _ in range(1500) for i in frame_indices(sampling, total, frames, rng, fps)}
        assert drawn <= set(within.tolist())
        assert len(within) <= len(drawn) + 0.03 * total  # the ends of a long window's place are drawn seldom


@pytest.mark.parametrize(
    ("sampling", "total", "fps", "kept"),
    [
        ("segment-centre", 300, 30.0, 8),
        ("jitter-ends", 300, 30.0, 48),
        ("jitter-ends", 45, 12.0, 45),
        ("strided", 300, 30.0, 46),
        ("strided", 64, 12.0, 8),
        ("segment-random", 303, 30.0, 296),
    ],
)
def test_a_sampling_reaches_so_many_frames(sampling: FrameSampling, total: int, fps: float, kept: int) -> None:
    assert len(reachable(sampling, total, 8, fps)) == kept


def test_train_clips_are_kept_for_both_samplings_and_test_clips_for_one() -> None:
    data = config(train_sampling="jitter-ends", test_sampling="inner-linspace")
    assert kept_for("train", data).name() == "inner-linspace-8+jitter-ends-8"
    assert kept_for("val", data) == kept_for("test", data) == Kept((("inner-linspace", 8),))
    assert kept_for("train", config()) == kept_for("train", config(frames=4)) == EVERY_FRAME
    assert EVERY_FRAME.name() == "all"


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_clips_are_the_same_from_the_kept_frames_as_from_all(
    index: ClipIndex, tmp_path: Path, sampling: FrameSampling
) -> None:
    data = config(train_sampling=sampling, test_sampling=sampling)
    every = Contents(name="toy", clips=index.of("train"), resize=data.resize)
    few = Contents.of_split(index, "train", data)
    sources = [
        ClipSource(index, "train", build_cache(each, tmp_path / each.kept.name()), data) for each in (every, few)
    ]
    positions, is_query = np.array([0, 1, 0]), np.array([True, False, False])
    for seed in range(20):
        left, right = (source.train_videos(positions, is_query, generator(seed, "draw")) for source in sources)
        assert torch.equal(left, right)
    left, right = (source.test_videos([0, 1]) for source in sources)
    assert torch.equal(left, right)
    assert numbers_in(left[1].permute(0, 2, 3, 1).numpy()) == [0, 0, 1, 1, 2, 2, 3, 4]


def test_a_wider_cache_is_used_instead_of_decoding_again(index: ClipIndex, tmp_path: Path) -> None:
    few = Contents.of_split(index, "test", config(test_sampling="linspace"))
    assert find_cache(few, tmp_path) is None
    every = replace(few, kept=EVERY_FRAME)
    whole = build_cache(every, tmp_path)
    found = find_cache(few, tmp_path)
    assert found is not None
    assert found.folder == whole.folder
    assert missing_shards(few, tmp_path) == ([], 0)
    other = replace(few, resize=Resize("squeeze", 40))
    assert find_cache(other, tmp_path) is None
    assert len(missing_shards(other, tmp_path)[0]) == 1


def test_splits_are_decoded_when_their_first_clip_is_asked_for(index: ClipIndex, tmp_path: Path) -> None:
    place = DatasetPlace(name="toy", root=tmp_path, cache=tmp_path)
    told: list[str] = []

    def watch(name: str) -> Progress:
        return lambda done, total: told.append(f"{name} {done}/{total}")

    splits = open_splits(place, config(), index, watch)
    assert told == []
    splits["test"].test_videos([0])
    assert told == ["decoding toy test 0/1", "decoding toy test 1/1"]
    decode_splits(place, config(), index, watch)
    assert told[2:] == [f"decoding toy {split} {done}/1" for split in ("train", "val") for done in (0, 1)]


def test_a_sampling_whose_frames_were_not_kept_is_refused(index: ClipIndex, tmp_path: Path) -> None:
    place = DatasetPlace(name="toy", root=tmp_path, cache=tmp_path)
    test = open_splits(place, config(), index)["test"]
    with pytest.raises(
        ValueError, match=r"'wave/a': frames .* opened for 'segment-centre'; open it with test_sampling='l"
    ):
        test.test_videos([0], "linspace")


def test_a_sampling_by_time_needs_the_frame_rate(index: ClipIndex) -> None:
    silent = ClipIndex.of_clips("toy", [replace(clip, fps=0.0) for clip in index.clips])
    Contents.of_split(silent, "test", config())
    with pytest.raises(
        CacheError, match=r"toy test: 2 of 2 clips have no frame rate \(wave/a, wave/b .*strided-centre-8"
    ):
        Contents.of_split(silent, "test", config(test_sampling="strided-centre"))


def test_jpeg_frames_are_near_the_raw_ones_and_smaller(index: ClipIndex, tmp_path: Path) -> None:
    raw = Contents.of_split(index, "train", config())
    caches = {quality: build_cache(replace(raw, jpeg=quality), tmp_path) for quality in (None, 60, 95)}
    exact = caches[None].clip("run/a").frames().astype(int)
    errors = {quality: np.abs(cache.clip("run/a").frames() - exact).mean() for quality, cache in caches.items()}
    assert 0 == errors[None] < errors[95] < errors[60] < 6
    sizes = {quality: cache.stored_bytes() for quality, cache in caches.items()}
    assert sizes[60] < sizes[95] < sizes[None] / 3
    for cache in caches.values():
        cache.verify()
    assert numbers_in(caches[95].clip("run/a").frames()) == list(range(LONG))


def test_long_videos_are_decoded_in_parts(index: ClipIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_shards, "_AT_ONCE_BYTES", 72 * 96 * 3 * 7)
    cache = build_cache(Contents.of_split(index, "train", config()), tmp_path)
    assert numbers_in(cache.clip("run/a").frames()) == list(range(LONG))
