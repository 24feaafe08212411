"""Keep every sampled frame: the frame sampler of all methods that do not choose frames themselves."""

from typing import Literal

from torch import Tensor, nn

from fsar_core.frozen import Frozen


class KeepAll(nn.Module):
    """The identity."""

    class Config(Frozen):
        """No parameters."""

        kind: Literal["keep_all"] = "keep_all"

        def frames(self, total: int) -> int:
            """Frames left of ``total`` per clip."""
            return total

        def build(self) -> "KeepAll":
            return KeepAll()

    def forward(self, videos: Tensor) -> Tensor:
        """(V, T, 3, H, W), unchanged."""
        return videos
