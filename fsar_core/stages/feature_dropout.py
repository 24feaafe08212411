"""Dropout of single values of a map in training, as TA2N's code (https://github.com/R00Kie-Liu/TA2N) has it for VIM."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase


class FeatureDropout(nn.Module):
    """Values become zero independently of each other; the rest is scaled up. A test changes nothing."""

    class Config(StageBase):
        """No parameters."""

        kind: Literal["feature_dropout"] = "feature_dropout"
        probability: float = Field(default=0.5, gt=0, lt=1)

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """The shape it reads, at any level."""
            return shape

        def build(self, shape: Shape, *, classes: int) -> "FeatureDropout":
            return FeatureDropout(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.probability)

    def forward(self, features: Tensor) -> Tensor:
        """The same shape."""
        return self.dropout(features)
