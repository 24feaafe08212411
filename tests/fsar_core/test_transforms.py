"""Crops, flips, colours and normalisation, against loops; and clips as pure functions of the seed."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import NORMALISATIONS, DataConfig, Flip, Jitter
from fsar_core.data.frame_sampling import frame_indices
from fsar_core.data.transforms import Geometry, central, drawn, jitter, normalise
from fsar_core.seeds import generator
from tests.fsar_core import tiny

HEIGHT, WIDTH, CROP = 11, 14, 8


def frames(count: int = 6, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH, channels), dtype=np.uint8)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 6), (1, 2)])
def test_a_cut_takes_the_pixels_that_a_loop_takes(top: int, left: int, flip: bool) -> None:
    video, picked = frames(), np.array([0, 2, 2, 5])
    result = tiny.cut(video, picked, Geometry(top=top, left=left, flip=flip), CROP)
    assert result.shape == (4, CROP, CROP, 3)
    for t, frame in enumerate(picked):
        for y in range(CROP):
            for x in range(CROP):
                column = left + (CROP - 1 - x if flip else x)
                assert result[t, y, x].tolist() == video[frame, top + y, column].tolist()


def test_a_cut_is_a_copy_that_may_be_written_while_the_stored_frames_may_not() -> None:
    video = frames()
    before = video.copy()
    tiny.cut(video, np.arange(2), central(HEIGHT, WIDTH, CROP), CROP)[:] = 0
    assert np.array_equal(video, before)


def test_masks_are_cut_by_the_same_record_as_their_frames() -> None:
    video = frames()
    masks = (video[..., :1] > 100).astype(np.uint8)
    for flip in (False, True):
        geometry = Geometry(top=2, left=5, flip=flip)
        cut_masks = tiny.cut(masks, np.arange(6), geometry, CROP)
        assert np.array_equal(
            cut_masks, (tiny.cut(video, np.arange(6), geometry, CROP)[..., :1] > 100).astype(np.uint8)
        )


def test_the_central_crop_leaves_equal_borders() -> None:
    assert central(12, 16, 8) == Geometry(top=2, left=4, flip=False)
    assert central(11, 14, 8) == Geometry(top=1, left=3, flip=False)
    assert central(8, 8, 8) == Geometry(top=0, left=0, flip=False)


def data(*, random_crop: bool = True, flip: Flip = Flip()) -> DataConfig:  # noqa: B008 - a frozen value
    return tiny.data(augmented=False).model_copy(update={"random_crop": random_crop, "flip": flip, "crop": CROP})


def test_random_crops_reach_every_place_and_no_other() -> None:
    rng = generator(0, "crops")
    seen = {(g.top, g.left) for g in (drawn(HEIGHT, WIDTH, data(), False, rng) for _ in range(2000))}
    assert seen == {(top, left) for top in range(HEIGHT - CROP + 1) for left in range(WIDTH - CROP + 1)}


def test_flips_follow_the_probability_of_their_side() -> None:
    config = data(flip=Flip(support=0.0, query=0.25))
    rng = generator(0, "flips")
    assert not any(drawn(HEIGHT, WIDTH, config, False, rng).flip for _ in range(500))
    flipped = sum(drawn(HEIGHT, WIDTH, config, True, rng).flip for _ in range(4000))
    assert 880 < flipped < 1120
    always = data(flip=Flip(support=1.0))
    assert all(drawn(HEIGHT, WIDTH, always, False, rng).flip for _ in range(100))


def test_switching_an_augmentation_off_does_not_shift_later_draws() -> None:
    def after(config: DataConfig) -> float:
        rng = generator(0, "later")
        drawn(HEIGHT, WIDTH, config, False, rng)
        return rng.random()

    assert after(data()) == after(data(random_crop=False)) == after(data(flip=Flip(support=0.7)))


def test_colour_jitter_is_the_same_for_all_frames_of_a_clip() -> None:
    one = torch.randint(0, 256, (1, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    changed = 0
    for seed in range(10):
        result = jitter(one.expand(4, 3, 9, 9), Jitter(grey=0.0), generator(seed, "jitter"))
        assert result.dtype == torch.uint8
        assert all(torch.equal(result[t], result[0]) for t in range(4))
        changed += not torch.equal(result[:1], one)
    assert changed == 10


def test_colour_jitter_without_any_strength_changes_nothing() -> None:
    clip = torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    still = Jitter(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, grey=0.0)
    assert torch.equal(jitter(clip, still, generator(0, "jitter")), clip)


def test_brightness_scales_pixels_by_a_factor_in_its_span() -> None:
    clip = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    only = Jitter(brightness=0.3, contrast=0.0, saturation=0.0, hue=0.0, grey=0.0)
    values = [int(jitter(clip, only, generator(seed, "jitter"))[0, 0, 0, 0]) for seed in range(200)]
    assert 69 <= min(values) < 75
    assert 125 < max(values) <= 130


def test_greyscale_comes_with_its_probability() -> None:
    clip = torch.randint(0, 256, (2, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    only = Jitter(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, grey=0.3)
    results = [jitter(clip, only, generator(seed, "grey")) for seed in range(400)]
    grey = sum(bool((r[:, 0] == r[:, 1]).all() and (r[:, 1] == r[:, 2]).all()) for r in results)
    assert 85 < grey < 155


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisation_is_per_channel(name: str) -> None:
    config = NORMALISATIONS[name]
    videos = torch.randint(0, 256, (2, 2, 3, 3, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    result = normalise(videos, config)
    for channel in range(3):
        expected = (videos[:, :, channel].double() / 255 - config.mean[channel]) / config.std[channel]
        torch.testing.assert_close(result[:, :, channel].double(), expected, rtol=1e-5, atol=1e-5)


def test_a_test_clip_is_its_fixed_frames_and_its_centre() -> None:
    source = tiny.clips("test")
    videos = source.test_videos([3, 0])
    for row, position in enumerate([3, 0]):
        stored = tiny.MadeFrames().frames(source.clips[position].name)
        picked = frame_indices("segment-centre", len(stored), tiny.FRAMES, generator(0, "unused"))
        margin = (tiny.SIZE - tiny.CROP) // 2
        expected = stored[picked, margin : margin + tiny.CROP, margin : margin + tiny.CROP].transpose(0, 3, 1, 2)
        assert np.array_equal(videos[row].numpy(), expected)


def test_a_random_test_sampling_is_fixed_by_clip_and_seed_whatever_is_asked_beside_it() -> None:
    source = tiny.clips("test")
    together = source.test_videos([1, 4, 7], "segment-random")
    assert torch.equal(together[2], source.test_videos([7], "segment-random")[0])
    others = [source.test_videos([1, 4, 7], "segment-random", seed=seed) for seed in range(1, 4)]
    assert not all(torch.equal(together, other) for other in others)


class Counted(tiny.WholeFrames):
    """Frame t is of colour t."""

    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        return np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, tiny.SIZE, tiny.SIZE, 3))


def test_a_random_test_sampling_takes_other_frames_of_every_clip() -> None:
    source = ClipSource(tiny.index(frames=40), "test", Counted(), tiny.data())
    picked = source.test_videos(range(20), "segment-random")[:, :, 0, 0, 0]
    assert len({tuple(own) for own in picked.tolist()}) > 15


def test_training_clips_are_a_pure_function_of_the_generator() -> None:
    source, positions, is_query = tiny.clips("train"), np.array([5, 0, 9]), np.array([False, True, True])

    def videos(seed: int) -> torch.Tensor:
        return source.train_videos(positions, is_query, generator(seed, "train"))

    assert torch.equal(videos(0), videos(0))
    assert not torch.equal(videos(0), videos(1))


def test_only_the_side_that_asks_for_colours_gets_them() -> None:
    coloured = data(random_crop=False).model_copy(update={"jitter": Jitter(support=False, query=True, grey=1.0)})
    source = tiny.clips("train", coloured)
    support, query = source.train_videos(np.array([5, 5]), np.array([False, True]), generator(0, "sides"))
    stored = tiny.MadeFrames().frames(source.clips[5].name)
    assert set(np.unique(support.numpy())) <= set(np.unique(stored).tolist())
    assert not torch.equal(support[:, 0], support[:, 1])
    assert torch.equal(query[:, 0], query[:, 1])


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({}, True),
        ({"flip": Flip(query=0.1)}, False),
        ({"random_crop": True}, False),
        ({"jitter": Jitter()}, False),
        ({"jitter": Jitter(support=False, query=False)}, True),
        ({"train_sampling": "linspace"}, False),
        ({"train_sampling": "segment-random", "test_sampling": "segment-random"}, False),
    ],
)
def test_clips_count_as_still_only_where_every_draw_gives_the_test_clip(change: dict[str, object], still: bool) -> None:
    base = data(random_crop=False).model_copy(update={"train_sampling": "segment-centre"})
    config = base.model_copy(update=change)
    assert config.is_deterministic() == still
    source = tiny.clips("train", config)
    positions = np.arange(20)
    tests = source.test_videos(positions)
    draws = [source.train_videos(positions, positions % 2 == 0, generator(seed, "draw")) for seed in range(3)]
    assert all(torch.equal(draw, tests) for draw in draws) == still
