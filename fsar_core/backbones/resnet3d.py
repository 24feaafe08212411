"""3D ResNet (R3D). Tran et al., CVPR 2018, https://arxiv.org/abs/1711.11248; torchvision's up to the last map."""

from collections import OrderedDict
from typing import Literal, Self

from pydantic import model_validator
from torch import Tensor, nn

from fsar_core.backbones.trunk import BatchNormMode, Trunk
from fsar_core.backbones.weights_file import WeightsFile
from fsar_core.episode import Shape
from fsar_core.frozen import Frozen


class ResNet3d(nn.Module):
    """Every convolution sees three frames. All strides over time are 1, so that T frames stay T.

    R3D halves the frames three times, which would leave one of eight and no sequence to match. The papers that report a
    3D ResNet-50 (STRM) do not describe theirs; this is a choice of this project. Weights fit either way.
    """

    class Config(Frozen):
        kind: Literal["resnet3d"] = "resnet3d"
        depth: Literal[18, 50] = 18
        weights: Literal["none", "kinetics400"] | WeightsFile = "kinetics400"
        """``kinetics400``: torchvision's KINETICS400_V1, of depth 18 only. They were trained on all classes of
        Kinetics-400, and so have seen the test classes of Kinetics-100: on that data set a result with them is no
        few-shot result."""
        frozen: bool = False
        """Weights without gradient, and evaluation mode also in training."""
        batch_norm: BatchNormMode = "train"

        @model_validator(mode="after")
        def _published_depth(self) -> Self:
            if self.weights == "kinetics400" and self.depth != 18:
                raise ValueError(
                    f"weights 'kinetics400' are published for depth 18, got depth {self.depth}; set weights to 'none' "
                    "or to a file"
                )
            return self

        def label(self) -> str:
            """As papers call it."""
            return f"3D ResNet-{self.depth}"

        def published(self) -> tuple[str, str] | None:
            """Names of the model and of its weights in torchvision; None where it has none."""
            return ("r3d_18", "KINETICS400_V1") if self.depth == 18 else None

        def shape(self, frames: int, crop: int) -> Shape:
            """``crop``: pixels per side."""
            return Shape(level="map", frames=frames, dim=512 if self.depth == 18 else 2048, cells=-(-crop // 16))

        def build(self, *, frames: int = 8, crop: int = 224) -> "ResNet3d":
            """With random weights; ``load_weights`` brings those of the config."""
            return ResNet3d(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.trunk = Trunk(_layers(config.depth), frozen=config.frozen, batch_norm=config.batch_norm, over="clips")

    def pretrained_part(self) -> nn.Module:
        """What a file of weights fits."""
        return self.trunk.layers

    def forward(self, videos: Tensor) -> Tensor:
        """(V, T, 3, H, W) floating -> (V, T, D, ceil(H / 16), ceil(W / 16))."""
        return self.trunk(videos)


def _layers(depth: int) -> nn.Sequential:
    from torchvision.models.video import resnet  # takes seconds to import, and a config is read without it

    block, blocks = (resnet.BasicBlock, [2, 2, 2, 2]) if depth == 18 else (resnet.Bottleneck, [3, 4, 6, 3])
    net = resnet.VideoResNet(block, [resnet.Conv3DSimple] * 4, blocks, resnet.BasicStem)
    for layer in net.modules():
        if isinstance(layer, nn.Conv3d):
            layer.stride = (1, *layer.stride[1:])
    return nn.Sequential(
        OrderedDict((name, own) for name, own in net.named_children() if name not in ("avgpool", "fc"))
    )
