"""MGSampler: equal shares of motion between the chosen frames. Zhi et al., ICCV 2021, https://arxiv.org/abs/2104.09952."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.backbones import Pretrained, PretrainedConfig, ResNet, WeightsFile
from fsar_core.episode import Sampled
from fsar_core.frame_samplers.base import FrameSampler, FrameSamplerBase, Scan
from fsar_core.precision import full_precision, wide

_BYTES_AT_ONCE = 64 << 20


class MgSampler(FrameSampler):
    """Nothing in it trains. A frame may be chosen more than once."""

    class Config(FrameSamplerBase):
        """In front of ProtoNet: VIM, table 11."""

        kind: Literal["mg_sampler"] = "mg_sampler"
        keep: int = Field(default=8, ge=1)
        """T, frames left per clip."""
        power: float = Field(default=0.5, ge=0)
        """Of the motion before it is normalised; the square root in published code."""
        weights: Literal["none", "imagenet"] | WeightsFile = "imagenet"
        """Of the first convolution of a ResNet-50, whose features differ where something moves. The authors' own
        convolution was trained with it; its weights are not released."""

        def frames(self, total: int) -> int:
            """Raises ValueError where there are no two frames to compare."""
            if total < 2:
                raise ValueError(f"mg_sampler needs clips of 2 frames or more, but they have {total}")
            return self.keep

        def published(self) -> tuple[str, str]:
            """Names of the model and of its weights in torchvision."""
            return "resnet50", "IMAGENET1K_V1"

        def build(self, *, frames: int, crop: int) -> "MgSampler":
            return MgSampler(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False).requires_grad_(False)

    def pretrained(self) -> Sequence[tuple[Pretrained, PretrainedConfig]]:
        return [(self, self.config)]

    def pretrained_part(self) -> nn.Module:
        """A whole ResNet-50, which a file of weights fits, whose first convolution is the one used here."""
        layers = ResNet.Config(depth=50, weights="none").build().trunk.layers
        layers.conv1 = self.stem
        return layers

    @torch.no_grad()
    def motion(self, videos: Tensor) -> Tensor:
        """(V, M, 3, S, S) -> (V, M - 1): distances of the features of neighbouring frames, summed over pixels."""
        at_once = max(1, _BYTES_AT_ONCE // (4 * 16 * videos[0, :, 0].numel()))  # 64 channels of a quarter of the pixels
        parts: list[Tensor] = []
        for part in videos.split(at_once):
            with full_precision(part.device):
                maps = self.stem(wide(part).flatten(0, 1)).unflatten(0, part.shape[:2])
                parts.append(maps.diff(dim=1).norm(dim=2).sum((-2, -1)))
        return torch.cat(parts)

    def forward(self, videos: Tensor, supports: int | None = None, scan: Scan | None = None) -> Sampled:
        """(V, M, 3, S, S) to (V, T, 3, S, S). Random places in training, the middles of equal shares in a test."""
        keep = self.config.keep
        shape = (len(videos), keep)
        within = (
            torch.rand(shape, device=videos.device) if self.training else torch.full(shape, 0.5, device=videos.device)
        )
        places = (torch.arange(keep, device=videos.device) + within) / keep
        indices = nearest_share(self.motion(videos), places, self.config.power)
        return Sampled(frames=videos.gather(1, indices[:, :, None, None, None].expand(-1, -1, *videos.shape[2:])))


def nearest_share(motion: Tensor, places: Tensor, power: float) -> Tensor:
    """(V, F) motion, (V, T) places in 0..1 -> (V, T) int64 in 0..F-1: whose share of motion up to then is nearest.

    Motion i lies between frames i and i + 1 and stands for the first of them. A clip without motion counts as even.
    """
    shares = motion.clamp_min(1e-12).pow(power)
    sums = (shares / shares.sum(-1, keepdim=True)).cumsum(-1)
    return (sums[:, None, :] - places[:, :, None]).abs().argmin(-1)
