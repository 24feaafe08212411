"""SGTM's token view and its transformers: encoder Phi_enc and matching transformer.

Saliency-guided fine-grained temporal mask learning (SGTM, 2024), section 3. A frame of D channels is r = D/P tokens.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase
from fsar_core.stages.transformer import Positions, Transformer, TransformerConfig


class TokenTransformer(nn.Module):
    """Transforms the T*D/P tokens of each clip; frame features in, frame features of the same size out."""

    class Config(StageBase):
        """Encoder: ``positions`` sincos. Matching transformer behind an encoder: none, the code is added once."""

        kind: Literal["token_transformer"] = "token_transformer"
        token_dim: int = Field(default=512, ge=1)
        """P. The published size is met by 512; D must be a multiple of it."""
        transformer: TransformerConfig = TransformerConfig()
        positions: Literal["sincos", "learned", "none"] = "sincos"
        residual: bool = False
        """Adds the input to the output. The paper's formula has none."""

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """The shape it reads. Raises ValueError unless these are frame features of a multiple of P channels."""
            if shape.level != "frame":
                raise ValueError(
                    f"token_transformer needs frame features, but gets a {shape.level}; put a spatial_pool before it"
                )
            if shape.dim % self.token_dim:
                raise ValueError(f"token_dim must divide the {shape.dim} channels of a frame, got {self.token_dim}")
            return shape

        def build(self, shape: Shape, *, classes: int) -> "TokenTransformer":
            return TokenTransformer(self, shape)

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.token_dim, self.residual = config.token_dim, config.residual
        self.tokens_per_frame = shape.dim // config.token_dim
        self.positions = Positions(config.positions, shape.frames * self.tokens_per_frame, config.token_dim)
        self.transformer = Transformer(config.transformer, config.token_dim)

    def tokens(self, features: Tensor) -> Tensor:
        """(V, T, D) as (V, T*D/P, P): a pure reshape, token t*r + j holds channels jP..(j+1)P of frame t."""
        return features.reshape(len(features), -1, self.token_dim)

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D) to (V, T, D); no clip sees another."""
        transformed = self.transformer(self.positions(self.tokens(features))).reshape(features.shape)
        return features + transformed if self.residual else transformed
