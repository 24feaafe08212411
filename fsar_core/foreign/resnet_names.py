"""ResNet as all these code bases keep it: ``nn.Sequential(*list(torchvision_resnet.children())[:-1])``, by position."""

from collections.abc import Iterable

from fsar_core.backbones import ResNet
from fsar_core.foreign.files import CheckpointError
from fsar_core.foreign.rules import Rule, To

_PLACES = {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}
_BLOCKS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}
"""Blocks of each stage, and whether a block has three convolutions; the depth of such a net."""


def resnet_rules(prefix: str) -> tuple[Rule, ...]:
    """``prefix``: a pattern of what stands before the positions, without groups and without its last dot."""
    return tuple(To(rf"{prefix}\.{i}\.(.+)", rf"backbone.trunk.layers.{own}.\1") for i, own in _PLACES.items())


def resnet_of(ours: Iterable[str]) -> ResNet.Config:
    """The depth that our names of a backbone's tensors belong to. Raises CheckpointError where there is none."""
    names = [name.split(".")[3:] for name in ours if name.startswith("backbone.trunk.layers.layer")]
    stages = tuple(len({n[1] for n in names if n[0] == f"layer{stage}"}) for stage in (1, 2, 3, 4))
    deep = any(n[2] == "conv3" for n in names)
    depth = _BLOCKS.get((stages, deep))
    if depth is None:
        raise CheckpointError(
            f"the backbone must be a ResNet of 18, 34, 50, 101 or 152 layers, but has stages of {stages} blocks"
        )
    return ResNet.Config.model_validate({"depth": depth, "weights": "none"})
