"""Phi_cls, class scores of each frame by temporal convolutions: SGTM, section 3.2; layout after CoLA's actionness."""

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase


class ClassScores(nn.Module):
    """Convolutions along time, ReLU and dropout between them: frame features to scores of the base classes."""

    class Config(StageBase):
        """Sizes are fitted to the published parameter count; the paper says "several temporal convolutional layers"."""

        kind: Literal["class_scores"] = "class_scores"
        layers: tuple[tuple[int, int], ...] = ((512, 3), (512, 3))
        """(width, kernel size) of each hidden convolution; odd kernels keep the length."""
        final_kernel: int = Field(default=1, ge=1)
        final_bias: bool = True
        dropout: float = Field(default=0.5, ge=0, lt=1)
        final_relu: bool = True
        """Scores >= 0, so that their sum grows with evidence for any class (CoLA). Else the sum has no meaning."""

        @model_validator(mode="after")
        def _odd_kernels(self) -> "ClassScores.Config":
            kernels = [kernel for _, kernel in self.layers] + [self.final_kernel]
            if any(kernel % 2 == 0 for kernel in kernels) or any(width < 1 for width, _ in self.layers):
                raise ValueError(
                    f"kernels must be odd and widths >= 1, got layers {self.layers}, final {self.final_kernel}"
                )
            return self

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """One score per base class and frame. Raises ValueError unless it reads frame features."""
            if shape.level != "frame":
                raise ValueError(
                    f"class_scores needs frame features, but gets a {shape.level}; put a spatial_pool before it"
                )
            return Shape(level="frame", frames=shape.frames, dim=classes)

        def build(self, shape: Shape, *, classes: int) -> "ClassScores":
            return ClassScores(self, shape.dim, classes)

    def __init__(self, config: Config, dim: int, classes: int) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for width, kernel in config.layers:
            modules += [nn.Conv1d(dim, width, kernel, padding=kernel // 2), nn.ReLU(), nn.Dropout(config.dropout)]
            dim = width
        modules.append(
            nn.Conv1d(dim, classes, config.final_kernel, padding=config.final_kernel // 2, bias=config.final_bias)
        )
        if config.final_relu:
            modules.append(nn.ReLU())
        self.convolutions = nn.Sequential(*modules)

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D) to (V, T, C)."""
        return self.convolutions(features.mT).mT
