"""Backbones: from frames to maps."""

from typing import Annotated

from pydantic import Field

from fsar_core.backbones.loading import Pretrained, PretrainedConfig, load_weights
from fsar_core.backbones.resnet import ResNet
from fsar_core.backbones.small_net import SmallNet
from fsar_core.backbones.weights_file import WeightsError, WeightsFile

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "Pretrained",
    "PretrainedConfig",
    "ResNet",
    "SmallNet",
    "WeightsError",
    "WeightsFile",
    "load_weights",
]

BackboneConfig = Annotated[ResNet.Config | SmallNet.Config, Field(discriminator="kind")]

Backbone = ResNet | SmallNet
"""A built one."""

BACKBONES = (ResNet.Config, SmallNet.Config)
"""The members of ``BackboneConfig``."""
