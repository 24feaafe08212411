"""Keep every sampled frame: the frame sampler of all methods that do not choose frames themselves."""

from typing import ClassVar, Literal

from torch import Tensor

from fsar_core.episode import Sampled
from fsar_core.frame_samplers.base import FrameSampler, FrameSamplerBase, Scan


class KeepAll(FrameSampler):
    """The identity."""

    class Config(FrameSamplerBase):
        """No parameters."""

        kind: Literal["keep_all"] = "keep_all"
        fixed: ClassVar[bool] = True

        def frames(self, total: int) -> int:
            """Frames left of ``total`` per clip."""
            return total

        def build(self, *, frames: int, crop: int) -> "KeepAll":
            return KeepAll()

    def forward(self, videos: Tensor, supports: int | None = None, scan: Scan | None = None) -> Sampled:
        """(V, T, 3, H, W), unchanged."""
        return Sampled(frames=videos)
