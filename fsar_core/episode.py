"""What parts give each other, and the one legend of shapes.

N way, K shots, Q queries, V = N*K + Q videos, T frames, D channels, C base classes, H x W pixels, h x w cells of a map.
``*B`` stands for any leading dimensions (many evaluation episodes at once). A class is a position, never a name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from fsar_core.frozen import Frozen

Level = Literal["map", "frame", "global_local"]
"""``map``: (V, T, D, h, w), the backbone's grid of cells. ``frame``: (V, T, D), one vector per frame.
``global_local``: (V, 1 + T, D), one vector of the whole clip, then one per frame."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a step gives per video, known before anything is built."""

    level: Level
    frames: int
    dim: int
    cells: int = 1
    """Cells per side of a map; 1 for frame features."""


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Labelled clips without an episode's structure."""

    videos: Tensor
    """(V, T, 3, H, W), uint8 as stored, or floating once normalised; see ``given``."""
    class_ids: Tensor
    """(V,) int64, position of the class in the sorted class names of its split."""
    given: str | None = None
    """None: ``videos`` are frames. Else they are already the output of the step of this name."""
    masks: Tensor | None = None
    """(V, T, H, W) uint8, instance masks of the frames, 255 inside, 0 outside; None where no loss asks for them."""
    has_mask: Tensor | None = None
    """(V, T) bool, false where a mask is missing; None where ``masks`` is."""

    def to(self, device: torch.device) -> Self:
        moved = {
            name: value.to(device, non_blocking=True) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)

    def pinned(self) -> Self:
        """In memory from which a GPU copies while it computes. What is on a device already stays there."""
        held = {
            name: value.pin_memory()
            for name, value in vars(self).items()
            if isinstance(value, Tensor) and not value.is_cuda
        }
        return replace(self, **held)


@dataclass(frozen=True, kw_only=True)
class Episode(Clips):
    """One N-way K-shot problem. ``videos`` holds the N*K support clips, class by class, then the Q query clips."""

    way: int
    shot: int
    query_labels: Tensor
    """(Q,) int64 in 0..N-1."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a matcher reads."""

    support: Tensor
    """(*B, N, K, T, D)"""
    query: Tensor
    """(*B, Q, T', D); T' may differ from T where the matcher allows it."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """What a matcher gives. A matcher that gives more returns a subclass with named fields."""

    logits: Tensor
    """(*B, Q, N); higher is closer, always minus a distance unless the matcher says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """What a frame sampler gives. A sampler that gives more returns a subclass with named fields."""

    frames: Tensor
    """(V, T, 3, H, W), what the backbone sees."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What one pass of a method has computed, for losses to read."""

    outputs: Mapping[str, Tensor]
    """By step name, and ``frames`` and ``backbone`` where they were computed."""
    reads: Mapping[str, tuple[str, ...]]
    """The names that each step read."""
    steps: Mapping[str, nn.Module]
    """The steps' modules: a loss may run one again on other input, with the same weights."""
    clips: Clips
    """What went in: an ``Episode`` where there are heads."""
    sampled: Sampled | None
    """What the frame sampler gave; None where ``clips`` are given as the output of a step."""
    matches: tuple[Match, ...]
    """What each head gave, in the order of the heads; empty for clips without an episode."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What is known of a method before it is built, for losses to check and to size themselves."""

    shapes: Mapping[str, Shape]
    """By step name, and ``backbone``."""
    reads: Mapping[str, tuple[str, ...]]
    stages: Mapping[str, Frozen]
    """The steps' configurations."""
    heads: tuple[Frozen, ...]
    """The matchers' configurations, in the order of the heads."""
    frame_sampler: Frozen
    frames: int
    """Frames per clip that the frame sampler reads."""
    crop: int
    """Pixels per side of the frames that the backbone reads."""
