"""What all frame samplers share."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from fsar_core.backbones import Pretrained, PretrainedConfig
from fsar_core.episode import Sampled
from fsar_core.frozen import Frozen

Scan = Mapping[str, Tensor]
"""What a frame sampler knows of each video by itself, by name, videos first; in a test, computed once per video."""


class FrameSamplerBase(Frozen):
    """A frame sampler's ``Config`` also has ``kind``, ``frames(total) -> int`` and ``build(frames, crop)``."""

    fixed: ClassVar[bool] = False
    """Whether it always chooses the same frames of a clip: nothing in it is trained, drawn or asks the episode."""

    def by_episode(self) -> bool:
        """Whether the frames of a video depend on the supports of its episode, so that none are fixed per video."""
        return False


class FrameSampler(nn.Module):
    """A module ``(videos, supports, scan) -> Sampled``; ``supports`` videos come first, None without an episode."""

    def scan(self, videos: Tensor) -> Scan:
        """(V, T, 3, H, W) normalised -> what is known of each video by itself. By default nothing."""
        return {}

    def pretrained(self) -> Sequence[tuple[Pretrained, PretrainedConfig]]:
        """Networks of its own that may start from stored weights. By default none."""
        return ()

    def forward(self, videos: Tensor, supports: int | None = None, scan: Scan | None = None) -> Sampled:
        raise NotImplementedError
