"""Sum of two pooled maps: I2ST with instance perception but without attention (tables 3 and 4)."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase


class PooledSum(nn.Module):
    """Mean over the cells of each of two maps, added. No parameters."""

    class Config(StageBase):
        """The paper does not say how the instances are "incorporated" there."""

        kind: Literal["pooled_sum"] = "pooled_sum"
        fixed: ClassVar[bool] = True
        inputs: ClassVar[int] = 2

        def gives(self, first: Shape, second: Shape, *, classes: int) -> Shape:
            """Frame features. Raises ValueError unless it reads maps of as many frames and channels."""
            same = (first.frames, first.dim) == (second.frames, second.dim)
            if not (first.level == second.level == "map" and same):
                raise ValueError(f"pooled_sum reads two maps of as many frames and channels, got {first} and {second}")
            return Shape(level="frame", frames=first.frames, dim=first.dim)

        def build(self, first: Shape, second: Shape, *, classes: int) -> "PooledSum":
            return PooledSum()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Twice (V, T, D, h, w) to (V, T, D)."""
        return first.mean((-2, -1)) + second.mean((-2, -1))
