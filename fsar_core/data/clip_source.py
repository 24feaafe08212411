"""The clips of one split as tensors: what a test sees of them, and what a training step draws of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import Split
from fsar_core.data.frame_sampling import FrameSampling, frame_indices
from fsar_core.data.mask_store import MaskStore
from fsar_core.data.transforms import Geometry, central, cut, cut_masks, drawn, jitter
from fsar_core.seeds import generator


class StoredFrames(Protocol):
    """What a frame cache gives."""

    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        """(n, H, W, 3), read-only."""
        ...


@dataclass(frozen=True, kw_only=True)
class MaskedVideos:
    """Training clips with the masks of their frames."""

    videos: Tensor
    """As ``train_videos`` gives them."""
    masks: Tensor
    """(V, T, crop, crop) uint8, 0 outside to 255 inside, cut and mirrored as their frames are."""
    has_mask: Tensor
    """(V, T) bool."""


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """A training clip, and what was drawn for it."""

    name: str
    pixels: Tensor
    picked: NDArray[np.int64]
    height: int
    width: int
    geometry: Geometry


class ClipSource:
    """Clips of a split, by position. ``class_ids`` are positions in the split's sorted labels."""

    def __init__(
        self,
        index: ClipIndex,
        split: Split,
        cache: StoredFrames,
        config: DataConfig,
        masks: MaskStore | None = None,
    ) -> None:
        self.clips = index.of(split)
        self.labels = index.labels(split)
        self.fingerprint = index.fingerprint
        self.config = config
        self._cache = cache
        self._masks = masks
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
        return torch.stack([clip.pixels for clip in self._draws(positions, is_query, rng)])

    def masked_videos(self, positions: np.ndarray, is_query: np.ndarray, rng: np.random.Generator) -> MaskedVideos:
        """``train_videos`` with the same draws, and the masks of its frames. Colours are no business of masks.

        Raises MaskError where masks are missing but must not be.
        """
        draws = self._draws(positions, is_query, rng)
        masks, there = zip(*(self._masks_of(clip) for clip in draws), strict=True)
        return MaskedVideos(
            videos=torch.stack([clip.pixels for clip in draws]),
            masks=torch.from_numpy(np.stack(masks)),
            has_mask=torch.from_numpy(np.stack(there)),
        )

    def mask_fingerprint(self) -> str | None:
        """Of the masks of its clips; None where it has none."""
        return None if self._masks is None else self._masks.fingerprint(clip.name for clip in self.clips)

    def _draws(self, positions: np.ndarray, is_query: np.ndarray, rng: np.random.Generator) -> list[_Drawn]:
        return [self._drawn(int(p), bool(q), rng) for p, q in zip(positions, is_query, strict=True)]

    def _drawn(self, position: int, query: bool, rng: np.random.Generator) -> _Drawn:
        found = self.clips[position]
        frames = self._cache.frames(found.name)
        picked = frame_indices(self.config.train_sampling, len(frames), self.config.frames, rng, found.fps)
        _, height, width, _ = frames.shape
        geometry = drawn(height, width, self.config, query, rng)
        clip = _stack([cut(frames, picked, geometry, self.config.crop)])[0]
        colours = self.config.jitter
        if colours is not None and (colours.query if query else colours.support):
            clip = jitter(clip, colours, rng)
        return _Drawn(name=found.name, pixels=clip, picked=picked, height=height, width=width, geometry=geometry)

    def _masks_of(self, clip: _Drawn) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        if self._masks is None:
            raise ValueError(
                "the run needs instance masks, but its train clips were opened without: "
                "give open_splits masks=run.method.mask_settings()"
            )
        masks, there = self._masks.read(clip.name, clip.picked)
        return cut_masks(masks, clip.height, clip.width, clip.geometry, self.config.crop), there


def _stack(cuts: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(cuts)).permute(0, 1, 4, 2, 3)
