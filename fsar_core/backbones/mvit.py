"""Multiscale vision transformers, torchvision's.

MViT-B: Fan et al., ICCV 2021, https://arxiv.org/abs/2104.11227. MViTv2-S: Li et al., CVPR 2022,
https://arxiv.org/abs/2112.01526.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.backbones.recompute import Chain, Piece
from fsar_core.backbones.trunk import Trunk
from fsar_core.backbones.weights_file import WeightsFile
from fsar_core.episode import Shape
from fsar_core.frozen import Frozen

if TYPE_CHECKING:
    from torchvision.models.video import MViT

_FRAMES, _CROP = 16, 224


class Mvit(nn.Module):
    """The first layer halves the frames: to match sequences of 8 it must be given 16 (``data.frames`` of the run).

    No recipe sets that: with 8 frames STRM, TRX and HyRSM match sequences of 4, on interpolated position codes.

    The learned position codes are those of 16 frames of 224 pixels, as published; for other sizes they are
    interpolated linearly, which for MViTv2 torchvision does itself. STRM reports an MViT and does not say of which kind
    and with how many frames.
    """

    class Config(Frozen):
        kind: Literal["mvit"] = "mvit"
        model: Literal["mvit_v1_b", "mvit_v2_s"] = "mvit_v1_b"
        """``mvit_v1_b``: what was called MViT when STRM appeared."""
        weights: Literal["none", "kinetics400"] | WeightsFile = "kinetics400"
        """``kinetics400``: torchvision's KINETICS400_V1. They were trained on all classes of Kinetics-400, and so have
        seen the test classes of Kinetics-100: on that data set a result with them is no few-shot result."""
        frozen: bool = False
        """Weights without gradient, and evaluation mode also in training."""
        stochastic_depth: float = Field(default=0.2, ge=0, lt=1)
        """Probability of leaving out the last layer in training, less for earlier ones; torchvision's default."""

        def label(self) -> str:
            """As papers call it."""
            return "MViT-B" if self.model == "mvit_v1_b" else "MViTv2-S"

        def published(self) -> tuple[str, str]:
            """Names of the model and of its weights in torchvision."""
            return self.model, "KINETICS400_V1"

        def shape(self, frames: int, crop: int) -> Shape:
            """Half the ``frames``, rounded up. ``crop``: pixels per side."""
            return Shape(level="map", frames=-(-frames // 2), dim=768, cells=-(-crop // 32))

        def build(self, *, frames: int = _FRAMES, crop: int = _CROP) -> "Mvit":
            """With random weights; ``load_weights`` brings those of the config."""
            return Mvit(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.trunk = Trunk(_Layers(config.model, config.stochastic_depth), frozen=config.frozen, over="clips")

    def pretrained_part(self) -> nn.Module:
        """What a file of weights fits."""
        return self.trunk.layers

    def forward(self, videos: Tensor) -> Tensor:
        """(V, T, 3, H, W) floating -> (V, ceil(T / 2), 768, ceil(H / 32), ceil(W / 32))."""
        return self.trunk(videos)


class _Layers(Chain):
    """Torchvision's layers by their names, without the classifier."""

    def __init__(self, model: str, stochastic_depth: float) -> None:
        from torchvision.models import get_model  # takes seconds to import, and a config is read without it

        super().__init__()
        net = cast("MViT", get_model(model, weights=None, stochastic_depth_prob=stochastic_depth))
        self.conv_proj, self.pos_encoding, self.blocks, self.norm = (
            net.conv_proj,
            net.pos_encoding,
            net.blocks,
            net.norm,
        )

    def pieces(self) -> Sequence[Piece]:
        return (self._begun, *self.blocks, self._map)

    def _begun(self, clips: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        grid: Tensor = self.conv_proj(clips)
        sizes = tuple(grid.shape[2:])
        return self.placed(grid.flatten(2).mT, sizes), sizes

    def _map(self, tokens: Tensor, sizes: tuple[int, ...]) -> Tensor:
        return self.norm(tokens)[:, 1:].mT.unflatten(2, sizes)

    def placed(self, tokens: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """With the class token before them, and MViT's position codes; MViTv2 has its own inside the attention."""
        known = self.pos_encoding
        first = known.class_token.expand(len(tokens), 1, -1)
        if known.temporal_pos is None or known.spatial_pos is None or known.class_pos is None:
            return torch.cat((first, tokens), dim=1)
        time, place = known.temporal_pos, known.spatial_pos
        if (known.temporal_size, *known.spatial_size) != sizes:
            time = F.interpolate(time.T[None], sizes[0], mode="linear")[0].T
            grid = place.T.unflatten(1, known.spatial_size)[None]
            place = F.interpolate(grid, sizes[1:], mode="bilinear")[0].flatten(1).T
        code = (time.unsqueeze(1) + place).flatten(0, 1)
        return torch.cat((first + known.class_pos, tokens + code), dim=1)
