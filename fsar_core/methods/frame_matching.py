"""Baselines without parts of their own: pooled frames, and one of the metrics that later papers build on."""

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.matchers import BiMhm, MatcherConfig, Otam, ProtoNet, TimeAveraged
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.presets import Recipe
from fsar_core.stages import SpatialPool


def otam(backbone: BackboneConfig) -> MethodConfig:
    """Ordered temporal alignment (Cao et al., CVPR 2020)."""
    return _matched_by(Otam.Config(), backbone)


def bimhm(backbone: BackboneConfig) -> MethodConfig:
    """Bidirectional mean Hausdorff distance, blind to order."""
    return _matched_by(BiMhm.Config(), backbone)


def protonet(backbone: BackboneConfig) -> MethodConfig:
    """Frames of equal index; VIM's baseline."""
    return _matched_by(ProtoNet.Config(), backbone)


def time_averaged(backbone: BackboneConfig) -> MethodConfig:
    """Means over time, blind to order."""
    return _matched_by(TimeAveraged.Config(), backbone)


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The recipe's few-shot training."""
    return recipe.few_shot(method)


def _matched_by(matcher: MatcherConfig, backbone: BackboneConfig) -> MethodConfig:
    return MethodConfig(
        backbone=backbone,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(Head(matcher=matcher, reads="pooled"),),
    )


METHOD = PublishedMethod(
    title="Frame matching",
    source="OTAM (CVPR 2020), Bi-MHM (HyRSM, CVPR 2022), ProtoNet (NeurIPS 2017)",
    variants={"otam": otam, "bimhm": bimhm, "protonet": protonet, "time_averaged": time_averaged},
    run=run,
)
