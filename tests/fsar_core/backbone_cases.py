"""The transformer and 3D backbones that tests share, built once."""

from copy import deepcopy
from functools import cache
from typing import cast

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from fsar_core.backbones import (
    Backbone,
    BackboneConfig,
    Mvit,
    ResNet3d,
    Vit,
)

ADAPTER: TypeAdapter[BackboneConfig] = TypeAdapter(BackboneConfig)
VIT, VIT_CLASS = Vit.Config(weights="none"), Vit.Config(weights="none", tokens="class")
MVIT, MVIT_2 = Mvit.Config(weights="none"), Mvit.Config(weights="none", model="mvit_v2_s")
R3D, R3D_50 = ResNet3d.Config(weights="none"), ResNet3d.Config(depth=50, weights="none")
CONFIGS = (VIT, VIT_CLASS, MVIT, MVIT_2, R3D, R3D_50)
every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.canonical_json())
light = pytest.mark.parametrize("config", [VIT, MVIT_2, R3D], ids=lambda c: c.kind)


def videos(size: int = 32, frames: int = 3) -> Tensor:
    return torch.randn(2, frames, 3, size, size, generator=torch.Generator().manual_seed(0))


@cache
def first_built(config_json: str) -> Backbone:
    """Not all of its layers, to be quick. Torchvision starts some weights so small that hardly anything would show."""
    torch.manual_seed(0)
    module = ADAPTER.validate_json(config_json).build(frames=3, crop=32)
    layers = module.pretrained_part()
    for name, parameter in layers.named_parameters():
        if "pos" in name or "token" in name:
            nn.init.normal_(parameter, std=0.2)
    if isinstance(module, Vit):
        encoder = layers.get_submodule("encoder")
        encoder.layers = cast(nn.Sequential, encoder.layers)[:2]
    return module


def built(config: BackboneConfig) -> Backbone:
    return deepcopy(first_built(config.canonical_json()))
