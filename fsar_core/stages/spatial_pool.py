"""Global average pooling of the backbone's map: one vector per frame."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase


class SpatialPool(nn.Module):
    """Mean over the cells of a map."""

    class Config(StageBase):
        """No parameters."""

        kind: Literal["spatial_pool"] = "spatial_pool"
        fixed: ClassVar[bool] = True

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """Frame features of the same width. Raises ValueError if there is no map to pool."""
            if shape.level != "map":
                raise ValueError(f"spatial_pool needs a map, but gets {shape.level} features; remove one of two pools")
            return Shape(level="frame", frames=shape.frames, dim=shape.dim)

        def build(self, shape: Shape, *, classes: int) -> "SpatialPool":
            return SpatialPool()

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D, h, w) to (V, T, D)."""
        return features.mean((-2, -1))
