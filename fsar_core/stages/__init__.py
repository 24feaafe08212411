"""Stages: per-video modules, features to features. What exists is the union below; a new one is a file and a member."""

from typing import Annotated

from pydantic import Field

from fsar_core.stages.class_scores import ClassScores
from fsar_core.stages.feature_dropout import FeatureDropout
from fsar_core.stages.frame_enrichment import FrameEnrichment
from fsar_core.stages.global_fusion import GlobalFusion
from fsar_core.stages.instance_attention import ImageAttention, InstanceAttention
from fsar_core.stages.instance_encoder import InstanceEncoder
from fsar_core.stages.max_mean_pool import MaxMeanPool
from fsar_core.stages.patch_enrichment import PatchEnrichment
from fsar_core.stages.pooled_sum import PooledSum
from fsar_core.stages.spatial_pool import SpatialPool
from fsar_core.stages.temporal_transform import TemporalTransform
from fsar_core.stages.token_transformer import TokenTransformer
from fsar_core.stages.video_attention import VideoAttention

StageConfig = Annotated[
    SpatialPool.Config
    | FeatureDropout.Config
    | TemporalTransform.Config
    | VideoAttention.Config
    | TokenTransformer.Config
    | ClassScores.Config
    | InstanceEncoder.Config
    | ImageAttention.Config
    | InstanceAttention.Config
    | GlobalFusion.Config
    | PooledSum.Config
    | MaxMeanPool.Config
    | PatchEnrichment.Config
    | FrameEnrichment.Config,
    Field(discriminator="kind"),
]

STAGES = (
    SpatialPool.Config,
    FeatureDropout.Config,
    TemporalTransform.Config,
    VideoAttention.Config,
    TokenTransformer.Config,
    ClassScores.Config,
    InstanceEncoder.Config,
    ImageAttention.Config,
    InstanceAttention.Config,
    GlobalFusion.Config,
    PooledSum.Config,
    MaxMeanPool.Config,
    PatchEnrichment.Config,
    FrameEnrichment.Config,
)
