"""STRM's patch-level enrichment (PLE): patches of a frame attend to each other, then are averaged.

Thatipelli et al., CVPR 2022, https://arxiv.org/abs/2112.05132, section 3.2, as in https://github.com/Anirudh257/strm.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Shape
from fsar_core.positions import trx_positions
from fsar_core.stages.base import StageBase
from fsar_core.stages.max_mean_pool import check_patches, patches


class PatchEnrichment(nn.Module):
    """One attention head as wide as the features, with a residual, then three layers, with a residual."""

    class Config(StageBase):
        """The paper's formula: ``positions`` false, ``dropout`` 0, ``scale`` inv_sqrt, ``gate`` one."""

        kind: Literal["patch_enrichment"] = "patch_enrichment"
        size: int = Field(default=4, ge=1)
        """Patches per side, of which each is the maximum over its cells of the map; see ``patches``."""
        positions: bool = True
        """Adds TRX's position code of the patches. In the code, not in the paper."""
        dropout: float = Field(default=0.1, ge=0, lt=1)
        """On the patches with their positions, in training. In the code, not in the paper."""
        scale: Literal["one", "inv_sqrt"] = "one"
        """Of the attention's scores: 1 in the code, 1 / sqrt(D) in the paper."""
        gate: Literal["learned0", "one"] = "learned0"
        """Factor of the attention: a learned number that starts at 0 in the code, 1 in the paper. At 0 the attention's
        weights get no gradient until the factor has moved."""

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """Frame features of the same width. Raises ValueError if there is no map, or only one cell or channel."""
            if shape.level != "map":
                raise ValueError(
                    f"patch_enrichment needs a map, but gets {shape.level} features; let it read the backbone"
                )
            if shape.dim < 2:
                raise ValueError(f"patch_enrichment needs at least 2 channels, got {shape.dim}")
            check_patches("patch_enrichment", shape, self.size)
            return Shape(level="frame", frames=shape.frames, dim=shape.dim)

        def build(self, shape: Shape, *, classes: int) -> "PatchEnrichment":
            return PatchEnrichment(self, shape.dim)

    positions: Tensor

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        self.size, self.dropout = config.size, config.dropout
        self.scale = dim**-0.5 if config.scale == "inv_sqrt" else 1.0
        self.qkv = nn.Linear(dim, 3 * dim)
        self.gamma = nn.Parameter(torch.zeros(1)) if config.gate == "learned0" else None
        self.fc1 = nn.Linear(dim, dim // 2)
        self.fc2 = nn.Linear(dim // 2, dim // 2)
        self.fc3 = nn.Linear(dim // 2, dim)
        table = trx_positions(config.size**2, dim)
        self.register_buffer("positions", table if config.positions else torch.zeros_like(table), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D, h, w) to (V, T, D)."""
        tokens = patches(features, self.size)
        tokens = F.dropout(tokens + self.positions.to(tokens.dtype), self.dropout, self.training)
        attended = self._attend(tokens)
        tokens = tokens + (attended if self.gamma is None else self.gamma * attended)
        hidden = F.relu(self.fc2(F.relu(self.fc1(tokens))))
        # The mean over the patches before the last layer, which is linear, spares it all patches but one.
        return self.fc3(hidden.mean(-2)) + tokens.mean(-2)

    def _attend(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        # An unscaled product of thousands of channels does not fit in half precision; the meta device has no autocast.
        wide = torch.promote_types(q.dtype, torch.float32)
        with torch.autocast("cpu" if q.is_meta else q.device.type, enabled=False):
            weights = ((q.to(wide) @ k.to(wide).mT) * self.scale).softmax(-1)
            return weights.to(v.dtype) @ v
