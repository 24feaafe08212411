"""The clips of one split as tensors: what a test sees of them, and what a training step draws of them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import Split
from fsar_core.data.frame_sampling import FrameSampling, frame_indices
from fsar_core.data.transforms import central, cut, drawn, jitter
from fsar_core.seeds import generator


class StoredFrames(Protocol):
    """What a frame cache gives."""

    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        """(n, H, W, 3), read-only."""
        ...


class ClipSource:
    """Clips of a split, by position. ``class_ids`` are positions in the split's sorted labels."""

    def __init__(self, index: ClipIndex, split: Split, cache: StoredFrames, config: DataConfig) -> None:
        self.clips = index.of(split)
        self.labels = index.labels(split)
        self.fingerprint = index.fingerprint
        self.config = config
        self._cache = cache
        number = {label: i for i, label in enumerate(self.labels)}
        self.class_ids = np.array([number[clip.label] for clip in self.clips], dtype=np.int64)
        self.members = tuple(np.flatnonzero(self.class_ids == i) for i in range(len(self.labels)))
        """Positions of each class's clips."""

    def __len__(self) -> int:
        return len(self.clips)

    def test_videos(
        self, positions: Sequence[int] | np.ndarray, sampling: FrameSampling | None = None, seed: int = 0
    ) -> Tensor:
        """(V, T, 3, crop, crop) uint8: fixed frames, central crop. ``seed`` fixes a random sampling, clip by clip."""
        cuts: list[np.ndarray] = []
        for position in positions:
            clip = self.clips[position]
            frames = self._cache.frames(clip.name)
            rng = generator(seed, "test frames", int(position))
            picked = frame_indices(
                sampling or self.config.test_sampling, len(frames), self.config.frames, rng, clip.fps
            )
            _, height, width, _ = frames.shape
            cuts.append(cut(frames, picked, central(height, width, self.config.crop), self.config.crop))
        return _stack(cuts)

    def train_videos(self, positions: np.ndarray, is_query: np.ndarray, rng: np.random.Generator) -> Tensor:
        """(V, T, 3, crop, crop) uint8, sampled and augmented by ``rng``, supports and queries each in their way."""
        clips = [self._drawn(int(p), bool(q), rng) for p, q in zip(positions, is_query, strict=True)]
        return torch.stack(clips)

    def _drawn(self, position: int, query: bool, rng: np.random.Generator) -> Tensor:
        found = self.clips[position]
        frames = self._cache.frames(found.name)
        picked = frame_indices(self.config.train_sampling, len(frames), self.config.frames, rng, found.fps)
        _, height, width, _ = frames.shape
        geometry = drawn(height, width, self.config, query, rng)
        clip = _stack([cut(frames, picked, geometry, self.config.crop)])[0]
        colours = self.config.jitter
        if colours is not None and (colours.query if query else colours.support):
            clip = jitter(clip, colours, rng)
        return clip


def _stack(cuts: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(cuts)).permute(0, 1, 4, 2, 3)
