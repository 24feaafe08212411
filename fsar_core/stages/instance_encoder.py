"""IPE, which draws instance embeddings from the backbone's map: I2ST, section 3.3, equation 1."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase


class InstanceEncoder(nn.Module):
    """conv 3x3, batch norm, ReLU, conv 1x1, batch norm, ReLU on every frame by itself; the map keeps its shape."""

    class Config(StageBase):
        """The paper says "2D spatial convolution layers"; the sizes are fitted to its table 8."""

        kind: Literal["instance_encoder"] = "instance_encoder"
        mid: int = Field(default=256, ge=1)
        """Channels between the convolutions: an eighth of ResNet-50's."""

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """The shape it reads. Raises ValueError if that is no map."""
            if shape.level != "map":
                raise ValueError(f"instance_encoder needs a map, but gets {shape.level} features; let it read backbone")
            return shape

        def build(self, shape: Shape, *, classes: int) -> "InstanceEncoder":
            return InstanceEncoder(self, shape.dim)

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        layers = nn.Sequential(
            nn.Conv2d(dim, config.mid, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.mid),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.mid, dim, 1, bias=False),
            nn.BatchNorm2d(dim),
            nn.ReLU(inplace=True),
        )
        # A layout in memory, in which convolutions are faster.
        self.layers = layers.to(memory_format=torch.channels_last)

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D, h, w) to (V, T, D, h, w), values >= 0."""
        frames = features.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self.layers(frames).unflatten(0, features.shape[:2])
