"""ResNet. He et al., CVPR 2016, https://arxiv.org/abs/1512.03385; torchvision's layers up to the last map."""

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from fsar_core.backbones.trunk import BatchNormMode, Trunk
from fsar_core.backbones.weights_file import WeightsFile
from fsar_core.episode import Shape
from fsar_core.frozen import Frozen


class ResNet(nn.Module):
    class Config(Frozen):
        kind: Literal["resnet"] = "resnet"
        depth: Literal[18, 34, 50, 101, 152] = 50
        weights: Literal["none", "imagenet"] | WeightsFile = "imagenet"
        """``imagenet``: torchvision's IMAGENET1K_V1 of this depth, which the papers start from."""
        frozen: bool = False
        """Weights without gradient, and evaluation mode also in training."""
        batch_norm: BatchNormMode = "train"

        def label(self) -> str:
            """As papers call it."""
            return f"ResNet-{self.depth}"

        def published(self) -> tuple[str, str]:
            """Names of the model and of its weights in torchvision."""
            return f"resnet{self.depth}", "IMAGENET1K_V1"

        def shape(self, frames: int, crop: int) -> Shape:
            """``crop``: pixels per side."""
            return Shape(level="map", frames=frames, dim=512 if self.depth < 50 else 2048, cells=-(-crop // 32))

        def build(self, *, frames: int = 8, crop: int = 224) -> "ResNet":
            """With random weights; ``load_weights`` brings those of the config."""
            return ResNet(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.trunk = Trunk(_layers(config.depth), frozen=config.frozen, batch_norm=config.batch_norm)

    def pretrained_part(self) -> nn.Module:
        """What a file of weights fits."""
        return self.trunk.layers

    def forward(self, videos: Tensor) -> Tensor:
        """(V, T, 3, H, W) floating -> (V, T, D, ceil(H / 32), ceil(W / 32))."""
        return self.trunk(videos)


def _layers(depth: int) -> nn.Sequential:
    from torchvision.models import get_model  # takes seconds to import, and a config is read without it

    children = get_model(f"resnet{depth}", weights=None).named_children()
    return nn.Sequential(OrderedDict((name, child) for name, child in children if name not in ("avgpool", "fc")))
