"""Evenly spaced frames of those that were decoded: what is left of a method that chooses frames once that is off."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from fsar_core.episode import Sampled
from fsar_core.frame_samplers.base import FrameSampler, FrameSamplerBase, Scan


class Evenly(FrameSampler):
    """Always the same positions. No parameters."""

    class Config(FrameSamplerBase):
        """Removing VIM's sampler in a test leaves this (VIM, table 17)."""

        kind: Literal["evenly"] = "evenly"
        fixed: ClassVar[bool] = True
        keep: int = Field(default=8, ge=1)
        """T, frames left per clip."""

        def frames(self, total: int) -> int:
            """Raises ValueError where there are fewer frames than it is to keep."""
            if total < self.keep:
                raise ValueError(f"evenly keeps {self.keep} frames of each clip, but clips have {total}")
            return self.keep

        def build(self, *, frames: int, crop: int) -> "Evenly":
            return Evenly(self, frames)

    positions: Tensor

    def __init__(self, config: Config, frames: int) -> None:
        super().__init__()
        self.register_buffer("positions", even_positions(frames, config.keep), persistent=False)

    def forward(self, videos: Tensor, supports: int | None = None, scan: Scan | None = None) -> Sampled:
        """(V, M, 3, H, W) to (V, T, 3, H, W)."""
        return Sampled(frames=videos[:, self.positions])


def even_positions(total: int, keep: int) -> Tensor:
    """(keep,) int64, the middles of ``keep`` equal parts of 0..total-1."""
    return torch.div((2 * torch.arange(keep) + 1) * total, 2 * keep, rounding_mode="floor")
