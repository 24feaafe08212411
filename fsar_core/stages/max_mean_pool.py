"""STRM's pooling of a map: strongest responses of a few patches. https://github.com/Anirudh257/strm."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase


class MaxMeanPool(nn.Module):
    """The mean over patches of each patch's maximum: STRM's patches without their enrichment.

    The paper does not say whether its rows without patch enrichment pool like this or by a plain mean (spatial_pool).
    """

    class Config(StageBase):
        """No parameters."""

        kind: Literal["max_mean_pool"] = "max_mean_pool"
        fixed: ClassVar[bool] = True
        size: int = Field(default=4, ge=1)
        """Patches per side."""

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """Frame features of the same width. Raises ValueError if there is no map to pool, or only one cell."""
            if shape.level != "map":
                raise ValueError(f"max_mean_pool needs a map, but gets {shape.level} features; remove one of two pools")
            check_patches("max_mean_pool", shape, self.size)
            return Shape(level="frame", frames=shape.frames, dim=shape.dim)

        def build(self, shape: Shape, *, classes: int) -> "MaxMeanPool":
            return MaxMeanPool(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.size = config.size

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D, h, w) to (V, T, D)."""
        return patches(features, self.size).mean(-2)


def check_patches(stage: str, shape: Shape, size: int) -> None:
    """Raises ValueError if the patches of a map would all be the same cell."""
    if shape.cells == 1 and size > 1:
        raise ValueError(
            f"{stage} of {size} x {size} patches needs maps of at least 2 x 2 cells, but gets one cell; "
            "take a larger crop, tokens='patches' of a vit, or size 1"
        )


def patches(features: Tensor, size: int) -> Tensor:
    """(V, T, D, h, w) -> (V, T, size * size, D), row by row: the maximum over each patch of a map.

    Patch i of an axis of h cells covers the cells from floor(i h / size) to ceil((i + 1) h / size) - 1, so that patches
    overlap where ``size`` does not divide h, and repeat where h is less.
    """
    pooled = F.adaptive_max_pool2d(features.flatten(0, 1), size)
    return pooled.flatten(-2).mT.unflatten(0, features.shape[:2])
