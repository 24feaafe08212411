"""HyRSM: hybrid relation guided set matching for few-shot action recognition.

Wang et al., CVPR 2022, https://arxiv.org/abs/2204.13423. Attention within a video, relation within a task, Bi-MHM;
in training every frame is also classified into the base classes.
"""

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.losses import BaseClasses
from fsar_core.matchers import BiMhm, SetRelation
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.presets import Recipe
from fsar_core.stages import SpatialPool, VideoAttention


def hyrsm(
    backbone: BackboneConfig,
    *,
    video_attention: VideoAttention.Config | None = None,
    classifier_weight: float = 0.15,
) -> MethodConfig:
    """As released for HMDB51, UCF101 and SSv2-Small; SSv2-Full differs in the classifier's weight, 0.6."""
    return _method(backbone, video_attention or VideoAttention.Config(), SetRelation.Config(), classifier_weight)


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The recipe's few-shot training."""
    return recipe.few_shot(method)


def kinetics(backbone: BackboneConfig) -> MethodConfig:
    """As released for Kinetics: features not amplified, a weaker position code, classifier's weight 0.4."""
    dim = float(backbone.shape(8, 224).dim)
    attention = VideoAttention.Config(amplification=dim, position_scale=0.01)
    return hyrsm(backbone, video_attention=attention, classifier_weight=0.4)


def no_relation(backbone: BackboneConfig) -> MethodConfig:
    """Without the relation within a task: every video keeps its own features."""
    return _method(backbone, VideoAttention.Config(), BiMhm.Config(), 0.15)


def no_video_attention(backbone: BackboneConfig) -> MethodConfig:
    """Without attention within a video."""
    return _method(backbone, None, SetRelation.Config(), 0.15)


def no_classifier(backbone: BackboneConfig) -> MethodConfig:
    """Without classification into the base classes."""
    return hyrsm(backbone, classifier_weight=0.0)


def _method(
    backbone: BackboneConfig,
    video_attention: VideoAttention.Config | None,
    matcher: SetRelation.Config | BiMhm.Config,
    classifier_weight: float,
) -> MethodConfig:
    steps = [Step(name="pooled", stage=SpatialPool.Config())]
    if video_attention is not None:
        steps.append(Step(name="attended", stage=video_attention))
    last = steps[-1].name
    classifier = BaseClasses.Config(reads=last, weight=classifier_weight)
    return MethodConfig(
        backbone=backbone,
        steps=tuple(steps),
        heads=(Head(matcher=matcher, reads=last),),
        losses=(classifier,) if classifier_weight else (),
    )


METHOD = PublishedMethod(
    title="Hybrid relation guided set matching",
    source="Wang et al. (HyRSM), CVPR 2022, https://arxiv.org/abs/2204.13423",
    variants={
        "hyrsm": hyrsm,
        "kinetics": kinetics,
        "no_relation": no_relation,
        "no_video_attention": no_video_attention,
        "no_classifier": no_classifier,
    },
    run=run,
)
