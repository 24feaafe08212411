"""Vision transformer. Dosovitskiy et al., ICLR 2021, https://arxiv.org/abs/2010.11929; torchvision's ViT-B/16."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn

from fsar_core.backbones.recompute import Chain, Piece
from fsar_core.backbones.trunk import Trunk
from fsar_core.backbones.weights_file import WeightsFile
from fsar_core.episode import Shape
from fsar_core.frozen import Frozen

if TYPE_CHECKING:
    from torchvision.models import VisionTransformer

_PATCH = 16
_PUBLISHED_CROP = 224


class Vit(nn.Module):
    class Config(Frozen):
        kind: Literal["vit"] = "vit"
        tokens: Literal["patches", "class"] = "patches"
        """What the map is made of: the patches after the last layer and its norm, or the class token alone, as a map of
        one cell. STRM reports a ViT without saying which; its patch enrichment needs patches."""
        weights: Literal["none", "imagenet"] | WeightsFile = "imagenet"
        """``imagenet``: torchvision's IMAGENET1K_V1, which fit crops of 224 pixels only: there is a learned position
        code for every patch."""
        frozen: bool = False
        """Weights without gradient, and evaluation mode also in training."""

        def label(self) -> str:
            """As papers call it."""
            return "ViT-B/16"

        def published(self) -> tuple[str, str]:
            """Names of the model and of its weights in torchvision."""
            return "vit_b_16", "IMAGENET1K_V1"

        def shape(self, frames: int, crop: int) -> Shape:
            """``crop``: pixels per side. Raises ValueError unless it is a multiple of 16, and 224 for ``imagenet``."""
            if crop % _PATCH or crop < _PATCH:
                raise ValueError(
                    f"vit cuts frames into patches of {_PATCH} pixels: crop must be a multiple, got {crop}"
                )
            if self.weights == "imagenet" and crop != _PUBLISHED_CROP:
                raise ValueError(
                    f"vit with weights 'imagenet' needs crops of {_PUBLISHED_CROP} pixels, got {crop}; set that crop, "
                    "or take a file of weights for this one"
                )
            return Shape(level="map", frames=frames, dim=768, cells=1 if self.tokens == "class" else crop // _PATCH)

        def build(self, *, frames: int = 8, crop: int = _PUBLISHED_CROP) -> "Vit":
            """With random weights; ``load_weights`` brings those of the config."""
            return Vit(self, crop)

    def __init__(self, config: Config, crop: int) -> None:
        super().__init__()
        self.trunk = Trunk(_Layers(crop, config.tokens), frozen=config.frozen)

    def pretrained_part(self) -> nn.Module:
        """What a file of weights fits."""
        return self.trunk.layers

    def forward(self, videos: Tensor) -> Tensor:
        """(V, T, 3, H, W) floating, H and W as built -> (V, T, 768, H / 16, W / 16), or one cell of the class token."""
        return self.trunk(videos)


class _Layers(Chain):
    """Torchvision's layers by their names, without the classifier."""

    def __init__(self, crop: int, tokens: Literal["patches", "class"]) -> None:
        from torchvision.models import get_model  # takes seconds to import, and a config is read without it

        super().__init__()
        net = cast("VisionTransformer", get_model("vit_b_16", weights=None, image_size=crop))
        self.class_token, self.conv_proj, self.encoder = net.class_token, net.conv_proj, net.encoder
        self._tokens = tokens
        self._cells = crop // _PATCH

    def pieces(self) -> Sequence[Piece]:
        return (self._placed, *self.encoder.layers, self._map)

    def _placed(self, images: Tensor) -> Tensor:
        patches: Tensor = self.conv_proj(images)
        known = self.class_token.expand(len(images), -1, -1)
        tokens = torch.cat((known, patches.flatten(2).mT), dim=1)
        return self.encoder.dropout(tokens + self.encoder.pos_embedding)

    def _map(self, tokens: Tensor) -> Tensor:
        encoded: Tensor = self.encoder.ln(tokens)
        if self._tokens == "class":
            return encoded[:, 0, :, None, None]
        return encoded[:, 1:].mT.unflatten(2, (self._cells, self._cells))
