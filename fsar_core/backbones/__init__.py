"""Backbones: from frames to maps."""

from typing import Annotated

from pydantic import Field

from fsar_core.backbones.loading import Pretrained, PretrainedConfig, fitting_weights, load_weights
from fsar_core.backbones.mvit import Mvit
from fsar_core.backbones.resnet import ResNet
from fsar_core.backbones.resnet3d import ResNet3d
from fsar_core.backbones.small_net import SmallNet
from fsar_core.backbones.vit import Vit
from fsar_core.backbones.weights_file import WeightsError, WeightsFile

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "Mvit",
    "Pretrained",
    "PretrainedConfig",
    "ResNet",
    "ResNet3d",
    "SmallNet",
    "Vit",
    "WeightsError",
    "WeightsFile",
    "fitting_weights",
    "load_weights",
]

BackboneConfig = Annotated[
    ResNet.Config | SmallNet.Config | Vit.Config | ResNet3d.Config | Mvit.Config, Field(discriminator="kind")
]

Backbone = ResNet | SmallNet | Vit | Mvit | ResNet3d
"""A built one."""

BACKBONES = (ResNet.Config, SmallNet.Config, Vit.Config, ResNet3d.Config, Mvit.Config)
"""The members of ``BackboneConfig``."""
