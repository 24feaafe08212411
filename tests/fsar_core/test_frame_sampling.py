from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from fsar_core.data.frame_sampling import FrameSampling, frame_indices, is_random
from fsar_core.seeds import generator

SAMPLINGS: tuple[FrameSampling, ...] = get_args(FrameSampling)


def drawn(sampling: FrameSampling, total: int, frames: int = 8, fps: float = 12.0, seed: int = 0) -> list[int]:
    return frame_indices(sampling, total, frames, generator(seed, "test"), fps).tolist()


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("frames", [1, 2, 7, 8, 16])
def test_indices_are_inside_the_clip_and_never_decrease(sampling: FrameSampling, frames: int) -> None:
    for total in [*range(1, 130), 250, 300, 301, 1000]:
        for fps in (12.0, 29.97):
            indices = frame_indices(sampling, total, frames, generator(total, "test"), fps)
            assert indices.shape == (frames,)
            assert indices.dtype == np.int64
            assert indices[0] >= 0
            assert indices[-1] < total
            assert (np.diff(indices) >= 0).all()


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_clip_with_too_few_frames_is_spread_evenly(sampling: FrameSampling) -> None:
    assert drawn(sampling, 1) == [0] * 8
    assert drawn(sampling, 3) == [0, 0, 0, 0, 1, 1, 1, 2]
    assert drawn(sampling, 7) == [0, 0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_only_random_samplings_differ_between_draws(sampling: FrameSampling) -> None:
    draws = {tuple(drawn(sampling, 300, seed=seed)) for seed in range(20)}
    assert (len(draws) > 1) == is_random(sampling)


@pytest.mark.parametrize(
    ("sampling", "total", "expected"),
    [
        ("segment-centre", 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("segment-centre", 30, [1, 4, 7, 10, 13, 16, 19, 22]),  # segments of 3, the last 6 frames unused
        ("segment-centre", 32, [2, 6, 10, 14, 18, 22, 26, 30]),
        ("linspace", 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("linspace", 30, [0, 4, 8, 12, 16, 20, 24, 29]),
        ("inner-linspace", 8, [0, 1, 2, 3, 4, 5, 6, 7]),  # 1..6 would be too short
        ("inner-linspace", 10, [0, 1, 2, 3, 5, 6, 7, 9]),  # 1..8 spans 7 < 8: the whole range
        ("inner-linspace", 11, [1, 2, 3, 4, 5, 6, 7, 9]),
        ("inner-linspace", 30, [1, 4, 8, 12, 16, 20, 24, 28]),
        # 12 fps: a window of 280 in 300 frames starts at 10.5 and ends 35 before its end, at 255.5
        ("strided-centre", 300, [10, 45, 80, 115, 150, 185, 220, 255]),
        # too long a window: 8 * (250 // 8) = 248, starts at 1.5, ends at 214.5
        ("strided-centre", 250, [1, 31, 62, 92, 123, 153, 184, 214]),
    ],
)
def test_fixed_samplings_give_what_their_definition_says(
    sampling: FrameSampling, total: int, expected: list[int]
) -> None:
    assert drawn(sampling, total) == expected


def test_a_strided_window_grows_with_the_frame_rate() -> None:
    # 24 fps: 560 of 700 frames, start 70.5, end 595.5
    assert drawn("strided-centre", 700, fps=24.0) == [70, 145, 220, 295, 370, 445, 520, 595]


@pytest.mark.parametrize("total", [8, 9, 10, 12, 20, 200])
def test_jittered_ends_stay_within_their_bounds_and_reach_them(total: int) -> None:
    slack = min(5, (total - 8) // 2)
    draws = np.array([drawn("jitter-ends", total, seed=seed) for seed in range(400)])
    starts, ends = draws[:, 0], draws[:, -1]
    assert (starts.min(), ends.max()) == (0, total - 1)
    if total >= 20:
        assert (starts.max(), ends.min()) == (slack, total - 1 - slack)
    spans = (ends - starts >= 8) | ((starts == 0) & (ends == total - 1))
    assert spans.all()


def test_random_segments_use_every_frame_of_every_segment_and_no_other() -> None:
    draws = np.array([drawn("segment-random", 30, seed=seed) for seed in range(200)])
    for segment in range(8):
        assert set(draws[:, segment]) == {3 * segment, 3 * segment + 1, 3 * segment + 2}


@pytest.mark.parametrize("frames", [8, 16, 29])
def test_even_spacing_is_the_exact_floor(frames: int) -> None:
    def exact(total: int) -> list[int]:
        return [k * (total - 1) // (frames - 1) for k in range(frames)]

    assert all(drawn("linspace", total, frames) == exact(total) for total in range(frames, 400))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: drawn("linspace", 0), "at least one frame"),
        (lambda: drawn("linspace", 10, 0), "at least one frame"),
        (lambda: drawn("strided", 300, fps=0.0), "frames per second"),
    ],
    ids=["empty clip", "no frames wanted", "unknown rate"],
)
def test_impossible_samples_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
