"""Four convolutions, for the built-in benchmark and for tests: trains on a CPU in seconds."""

from collections import OrderedDict
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.backbones.trunk import BatchNormMode, Trunk
from fsar_core.backbones.weights_file import WeightsFile
from fsar_core.episode import Shape
from fsar_core.frozen import Frozen


class SmallNet(nn.Module):
    class Config(Frozen):
        kind: Literal["small"] = "small"
        channels: int = Field(default=16, ge=1)
        """Of the first layer; every further layer has twice as many, so that D = 8 * channels."""
        coordinates: bool = True
        """The first layer also sees where it is (``Coordinates``): a pooled map of a translation-invariant network
        hardly tells left from right."""
        weights: Literal["none"] | WeightsFile = "none"
        frozen: bool = False
        """Weights without gradient, and evaluation mode also in training."""
        batch_norm: BatchNormMode = "train"

        def label(self) -> str:
            """For tables."""
            return f"small net of {8 * self.channels} channels"

        def published(self) -> None:
            """Nobody publishes weights for it."""

        def shape(self, frames: int, crop: int) -> Shape:
            """``crop``: pixels per side."""
            return Shape(level="map", frames=frames, dim=8 * self.channels, cells=-(-crop // 16))

        def build(self, *, frames: int = 8, crop: int = 224) -> "SmallNet":
            """With random weights; ``load_weights`` brings those of the config."""
            return SmallNet(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers = _layers(config.channels, coordinates=config.coordinates)
        self.trunk = Trunk(layers, frozen=config.frozen, batch_norm=config.batch_norm)

    def pretrained_part(self) -> nn.Module:
        """What a file of weights fits."""
        return self.trunk.layers

    def forward(self, videos: Tensor) -> Tensor:
        """(V, T, 3, H, W) floating -> (V, T, D, ceil(H / 16), ceil(W / 16))."""
        return self.trunk(videos)


class Coordinates(nn.Module):
    """Appends x and y in [-1, 1] as two channels. Liu et al. (CoordConv), NeurIPS 2018, https://arxiv.org/abs/1807.03247."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + 2, H, W)."""
        count, _, height, width = images.shape
        x = torch.linspace(-1, 1, width, dtype=images.dtype, device=images.device).expand(count, 1, height, width)
        y = torch.linspace(-1, 1, height, dtype=images.dtype, device=images.device)
        return torch.cat((images, x, y.unsqueeze(-1).expand(count, 1, height, width)), dim=1)


def _layers(channels: int, *, coordinates: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = 3
    if coordinates:
        layers["coordinates"] = Coordinates()
        width += 2
    for number, (kernel, factor) in enumerate([(5, 1), (3, 2), (3, 4), (3, 8)], start=1):
        layers[f"conv{number}"] = nn.Conv2d(width, factor * channels, kernel, stride=2, padding=kernel // 2, bias=False)
        layers[f"bn{number}"] = nn.BatchNorm2d(factor * channels)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        width = factor * channels
    return nn.Sequential(layers)
