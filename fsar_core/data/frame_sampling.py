"""Which frames of a clip are seen. "Eight uniformly sampled frames" means any of these in published code.

With n frames in the clip and T wanted, all indices count from 0 and never decrease. A clip with n < T gives
floor(k (n-1) / (T-1)), k = 0..T-1, whatever the sampling.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FrameSampling = Literal[
    "segment-random",
    "segment-centre",
    "linspace",
    "inner-linspace",
    "jitter-ends",
    "strided",
    "strided-centre",
]
"""
segment-random: one random frame in each of T segments of n // T frames (HyRSM, MoLo; the rest of the clip is unused).
segment-centre: the middle frame, s // 2 from the start of a segment of s frames (TEAM's test).
linspace: evenly spaced over 0..n-1, rounded down (Perrett's library).
inner-linspace: evenly spaced over 1..n-2; over 0..n-1 where that spans fewer than T steps (TRX's and STRM's test).
jitter-ends: as before, but with start in 0..p and end in n-1-p..n-1 at random, p = min(5, (n-T)/2) (TRX's training).
strided: a window of T strides of 35 frames at 12 per second, from a random start; a window longer than the clip shrinks
    to T (n // T); the last 35 frames of the window are left out (HyRSM and MoLo on Kinetics).
strided-centre: the same with the window in the middle, its test.
"""

Indices = NDArray[np.int64]

_RANDOM: tuple[FrameSampling, ...] = ("segment-random", "jitter-ends", "strided")
_JITTER = 5
_STRIDE = 35
_STRIDE_FPS = 12.0


def is_random(sampling: FrameSampling) -> bool:
    """Whether two draws for one clip may differ."""
    return sampling in _RANDOM


def frame_indices(
    sampling: FrameSampling, total: int, frames: int, rng: np.random.Generator, fps: float = _STRIDE_FPS
) -> Indices:
    """``frames`` indices in [0, total). ``fps``, the clip's rate, matters to the strided samplings only.

    ``rng`` is left untouched by the samplings that are not random and by clips with fewer than ``frames`` frames.
    """
    if total < 1 or frames < 1:
        raise ValueError(f"a clip and a sample of it need at least one frame, got {total} in the clip, {frames} wanted")
    if total < frames:
        return _evenly(0, total - 1, frames)
    match sampling:
        case "segment-random":
            segment = total // frames
            return np.arange(frames) * segment + rng.integers(segment, size=frames)
        case "segment-centre":
            segment = total // frames
            return np.arange(frames) * segment + segment // 2
        case "linspace":
            return _evenly(0, total - 1, frames)
        case "inner-linspace":
            return _inner(1, total - 2, total, frames)
        case "jitter-ends":
            start, cut = rng.integers(_slack(total, frames) + 1, size=2)
            return _inner(int(start), total - 1 - int(cut), total, frames)
        case "strided" | "strided-centre":
            place = float(rng.random()) if sampling == "strided" else 0.5
            return _inside(_strided(place, total, frames, fps), total)
    raise ValueError(f"frame sampling must be one of {', '.join(get_args(FrameSampling))}, got {sampling!r}")


def reachable(sampling: FrameSampling, total: int, frames: int, fps: float = _STRIDE_FPS) -> Indices:
    """All indices that any draw of ``frame_indices`` may give for such a clip, increasing, each once."""
    if total < frames or not is_random(sampling):
        return np.unique(frame_indices(sampling, total, frames, np.random.default_rng(0), fps))
    if sampling == "segment-random":
        return np.arange(total // frames * frames)
    if sampling == "jitter-ends":
        ends = range(_slack(total, frames) + 1)
        return np.unique([_inner(start, total - 1 - cut, total, frames) for start in ends for cut in ends])
    first = _inside(_strided(0.0, total, frames, fps), total)
    end = np.ceil(_strided(1.0, total, frames, fps)).clip(first + 1, total).astype(np.int64)  # no draw is 1
    return np.unique(np.concatenate([np.arange(a, b) for a, b in zip(first, end, strict=True)]))


def _slack(total: int, frames: int) -> int:
    return min(_JITTER, (total - frames) // 2)


def _evenly(start: int, end: int, frames: int) -> Indices:
    """Exact floor of ``frames`` evenly spaced numbers: a float linspace may fall just below a whole number."""
    return start + np.arange(frames, dtype=np.int64) * (end - start) // max(frames - 1, 1)


def _inner(start: int, end: int, total: int, frames: int) -> Indices:
    return _evenly(start, end, frames) if end - start >= frames else _evenly(0, total - 1, frames)


def _inside(points: NDArray[np.float64], total: int) -> Indices:
    return np.clip(points, 0, total - 1).astype(np.int64)


def _strided(place: float, total: int, frames: int, fps: float) -> NDArray[np.float64]:
    """``place`` in [0, 1] moves the window from the clip's start to its end. Rounded down, these are the indices."""
    if not fps > 0:
        raise ValueError(f"strided frame sampling needs the clip's frames per second, got {fps}")
    window = frames * _STRIDE * fps / _STRIDE_FPS
    if window > total:
        window = float(total // frames * frames)
    # the published 35 would leave nothing of a window this short, so that one interval is left out instead
    left_out = _STRIDE if window > 2 * _STRIDE else window / frames
    start = place * (total - window + 1)
    return np.linspace(start, start + window - left_out, frames)
