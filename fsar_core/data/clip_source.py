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
from fsar_core.data.stored_clip import NotKept, StoredClip
from fsar_core.data.subsets import limited
from fsar_core.data.transforms import Geometry, central, cut, cut_masks, drawn, jitter
from fsar_core.seeds import generator


class StoredFrames(Protocol):
    """What a frame cache gives."""

    def clip(self, clip_name: str) -> StoredClip: ...


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
    """A training clip by name, and what was drawn for it."""

    name: str
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
        self.split: Split = split
        self.clips = limited(index.of(split), config.limit if split == "train" else None)
        self.labels = index.labels(split)
        self.fingerprint = index.fingerprint
        self.config = config
        self._cache = cache
        self._masks = masks
        self._named = tuple(clip.name for clip in index.of(split))
        number = {label: i for i, label in enumerate(self.labels)}
        self.class_ids = np.array([number[clip.label] for clip in self.clips], dtype=np.int64)
        self.members = tuple(np.flatnonzero(self.class_ids == i) for i in range(len(self.labels)))
        """Positions of each class's clips."""

    def __len__(self) -> int:
        return len(self.clips)

    def test_videos(
        self, positions: Sequence[int] | np.ndarray, sampling: FrameSampling | None = None, seed: int = 0
    ) -> Tensor:
        """(V, T, 3, crop, crop) uint8: fixed frames, central crop. ``seed`` fixes a random sampling, clip by clip.

        Raises ValueError for a ``sampling`` whose frames were not kept when the split was opened.
        """
        sampling = sampling or self.config.test_sampling
        pixels = self._room(len(positions))
        for out, position in zip(pixels, positions, strict=True):
            clip = self.clips[position]
            stored = self._cache.clip(clip.name)
            rng = generator(seed, "test frames", int(position))
            picked = frame_indices(sampling, clip.frames, self.config.frames, rng, clip.fps)
            try:
                cut(stored, picked, central(stored.height, stored.width, self.config.crop), out)
            except NotKept as error:
                raise ValueError(
                    f"{clip.name!r}: {error} are not in the frame cache of split {self.split!r}, which was opened for "
                    f"{self.config.test_sampling!r}; open it with test_sampling={sampling!r}"
                ) from error
        return _videos(pixels)

    def train_videos(self, positions: np.ndarray, is_query: np.ndarray, rng: np.random.Generator) -> Tensor:
        """(V, T, 3, crop, crop) uint8, sampled and augmented by ``rng``, supports and queries each in their way."""
        return self._draw(positions, is_query, rng)[0]

    def masked_videos(self, positions: np.ndarray, is_query: np.ndarray, rng: np.random.Generator) -> MaskedVideos:
        """``train_videos`` with the same draws, and the masks of its frames. Colours are no business of masks.

        Raises MaskError where masks are missing but must not be.
        """
        videos, draws = self._draw(positions, is_query, rng)
        masks, has_mask = self._masks_of(draws)
        return MaskedVideos(videos=videos, masks=masks, has_mask=has_mask)

    def test_masks(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """``masks`` and ``has_mask`` of ``MaskedVideos`` for the frames of ``test_videos``, which are not read.

        Raises MaskError where masks are missing but must not be.
        """
        return self._masks_of([self._as_in_tests(int(position)) for position in positions])

    def mask_fingerprint(self) -> str | None:
        """Of the masks of the whole split, whatever the limit; None where it has none."""
        return None if self._masks is None else self._masks.fingerprint(self._named)

    def _draw(
        self, positions: np.ndarray, is_query: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, list[_Drawn]]:
        pixels = self._room(len(positions))
        drawn_by = zip(pixels, positions, is_query, strict=True)
        draws = [self._draw_one(int(p), bool(q), rng, out) for out, p, q in drawn_by]
        return _videos(pixels), draws

    def _draw_one(self, position: int, query: bool, rng: np.random.Generator, out: NDArray[np.uint8]) -> _Drawn:
        """Fills ``out``, (T, crop, crop, 3)."""
        found = self.clips[position]
        stored = self._cache.clip(found.name)
        picked = frame_indices(self.config.train_sampling, found.frames, self.config.frames, rng, found.fps)
        height, width = stored.height, stored.width
        geometry = drawn(height, width, self.config, query, rng)
        cut(stored, picked, geometry, out)
        colours = self.config.jitter
        if colours is not None and (colours.query if query else colours.support):
            clip = torch.from_numpy(out).permute(0, 3, 1, 2)
            clip.copy_(jitter(clip, colours, rng))
        return _Drawn(name=found.name, picked=picked, height=height, width=width, geometry=geometry)

    def _room(self, videos: int) -> NDArray[np.uint8]:
        side = self.config.crop
        return np.empty((videos, self.config.frames, side, side, 3), np.uint8)

    def _as_in_tests(self, position: int) -> _Drawn:
        found, config = self.clips[position], self.config
        stored = self._cache.clip(found.name)
        rng = generator(0, "test frames", position)
        return _Drawn(
            name=found.name,
            picked=frame_indices(config.test_sampling, found.frames, config.frames, rng, found.fps),
            height=stored.height,
            width=stored.width,
            geometry=central(stored.height, stored.width, config.crop),
        )

    def _masks_of(self, draws: Sequence[_Drawn]) -> tuple[Tensor, Tensor]:
        masks, there = zip(*(self._masks_of_one(clip) for clip in draws), strict=True)
        return torch.from_numpy(np.stack(masks)), torch.from_numpy(np.stack(there))

    def _masks_of_one(self, clip: _Drawn) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        if self._masks is None:
            raise ValueError(
                "the run needs instance masks, but its train clips were opened without: "
                "give open_splits masks=run.method.mask_settings()"
            )
        masks, there = self._masks.read(clip.name, clip.picked)
        return cut_masks(masks, clip.height, clip.width, clip.geometry, self.config.crop), there


def _videos(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 1, 4, 2, 3)
