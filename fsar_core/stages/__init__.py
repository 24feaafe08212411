"""Stages: per-video modules, features to features. What exists is the union below; a new one is a file and a member."""

from typing import Annotated

from pydantic import Field

from fsar_core.stages.class_scores import ClassScores
from fsar_core.stages.spatial_pool import SpatialPool
from fsar_core.stages.token_transformer import TokenTransformer

StageConfig = Annotated[
    SpatialPool.Config | TokenTransformer.Config | ClassScores.Config,
    Field(discriminator="kind"),
]

STAGES = (SpatialPool.Config, TokenTransformer.Config, ClassScores.Config)
