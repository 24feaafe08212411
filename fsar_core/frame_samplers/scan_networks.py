"""The small networks that look at every decoded frame before any is chosen. VIM, section 3.3.1 and table 9."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, cast

from pydantic import model_validator
from torch import Tensor, nn

from fsar_core.backbones import WeightsFile
from fsar_core.frame_samplers.mobilenet_v1 import mobilenet_v1_x0_75
from fsar_core.frame_samplers.shufflenet_v1 import shufflenet_v1_x2_0
from fsar_core.frozen import Frozen

ScanName = Literal[
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "mobilenet_v2",
    "shufflenet_v1_x2_0",
    "mobilenet_v1_x0_75",
    "scan_tiny",
]

_PUBLISHED: tuple[ScanName, ...] = ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "mobilenet_v2")


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Channels of a scan network, and where its stages end."""

    pooled: int
    """c, of the vector of a frame."""
    stage4: int
    """c_s, of the map behind the saliency."""
    ends: tuple[int, int, int]
    """Positions of the last units of stages 2, 3 and 4, which have scan size / 4, / 8 and / 16 cells a side."""


_WIDTHS: dict[ScanName, Widths] = {
    "shufflenet_v2_x0_5": Widths(pooled=1024, stage4=192, ends=(1, 2, 3)),
    "shufflenet_v2_x1_0": Widths(pooled=1024, stage4=464, ends=(1, 2, 3)),
    "shufflenet_v2_x1_5": Widths(pooled=1024, stage4=704, ends=(1, 2, 3)),
    "mobilenet_v2": Widths(pooled=1280, stage4=320, ends=(6, 13, 17)),
    "shufflenet_v1_x2_0": Widths(pooled=1920, stage4=1920, ends=(4, 12, 16)),
    "mobilenet_v1_x0_75": Widths(pooled=768, stage4=768, ends=(5, 11, 13)),
    "scan_tiny": Widths(pooled=64, stage4=64, ends=(1, 2, 3)),
}


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """Of every frame."""

    pooled: Tensor
    """(B, c), the spatial mean of the last map."""
    stages: tuple[Tensor, Tensor, Tensor]
    """Stages 2, 3, 4: (B, channels, cells, cells)."""


class ScanNetwork(nn.Module):
    """Up to the last map, with one reduction less than published."""

    class Config(Frozen):
        name: ScanName = "shufflenet_v2_x0_5"
        """``scan_tiny`` is none of the paper's: four convolutions, for the built-in benchmark and for tests."""
        weights: Literal["none", "imagenet"] | WeightsFile = "imagenet"
        """``imagenet``: torchvision's IMAGENET1K_V1. ShuffleNetV1 takes the file of its authors' repository."""

        @model_validator(mode="after")
        def _published_or_not(self) -> Self:
            if self.weights == "imagenet" and self.name not in _PUBLISHED:
                raise ValueError(
                    f"weights 'imagenet' exist for {', '.join(_PUBLISHED)}, got {self.name!r}; name a file or 'none'"
                )
            return self

        def widths(self) -> Widths:
            return _WIDTHS[self.name]

        def published(self) -> tuple[str, str] | None:
            """Names of the model and of its weights in torchvision; None where there are none."""
            return (self.name, "IMAGENET1K_V1") if self.name in _PUBLISHED else None

        def build(self) -> "ScanNetwork":
            """With random weights; ``load_weights`` brings those of the config."""
            return ScanNetwork(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = _layers(config.name)
        self._ends = config.widths().ends

    def pretrained_part(self) -> nn.Module:
        """What a file of weights fits."""
        return self.layers

    def forward(self, frames: Tensor) -> Scanned:
        """(B, 3, s, s), normalised."""
        maps, outputs = frames, list[Tensor]()
        for unit in self._units():
            maps = unit(maps)
            outputs.append(maps)
        stage2, stage3, stage4 = (outputs[end] for end in self._ends)
        return Scanned(pooled=maps.mean((-2, -1)), stages=(stage2, stage3, stage4))

    def _units(self) -> list[nn.Module]:
        named = self.layers.items()
        return [
            unit for name, own in named for unit in (cast(Iterable[nn.Module], own) if name == "features" else [own])
        ]


def _layers(name: ScanName) -> nn.ModuleDict:
    if name == "scan_tiny":
        return nn.ModuleDict({"features": _tiny()})
    if name == "shufflenet_v1_x2_0":
        return shufflenet_v1_x2_0()
    if name == "mobilenet_v1_x0_75":
        return mobilenet_v1_x0_75()
    from torchvision.models import get_model  # takes seconds to import, and a config is read without it

    model = get_model(name, weights=None)
    if name == "mobilenet_v2":
        features = cast(nn.Sequential, model.features)
        _first_strided(features).stride = (1, 1)  # it has no max-pooling to leave out
        return nn.ModuleDict({"features": features})
    return nn.ModuleDict({part: own for part, own in model.named_children() if part not in ("maxpool", "fc")})


def _first_strided(features: nn.Sequential) -> nn.Conv2d:
    """The first strided convolution after the stem."""
    inner = (layer for block in features[1:] for layer in block.modules() if isinstance(layer, nn.Conv2d))
    return next(layer for layer in inner if layer.stride == (2, 2))


def _tiny() -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = 3
    for i, out in enumerate((8, 16, 32, 64)):
        convolution = nn.Conv2d(width, out, 3, stride=2, padding=1, bias=False)
        layers[str(i)] = nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True))
        width = out
    return nn.Sequential(layers)
