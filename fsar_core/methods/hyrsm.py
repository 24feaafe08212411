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
from fsar_core.presets import Recipe, paper_dataset
from fsar_core.stages import SpatialPool, VideoAttention

CLASSIFIER_WEIGHT = 0.15
"""On HMDB51, UCF101 and SSv2-Small."""
_KINETICS = "kinetics100"
CLASSIFIER_WEIGHTS = {"ssv2_full": 0.6, _KINETICS: 0.4}
"""On the others that the code has settings for."""


def hyrsm(
    backbone: BackboneConfig,
    *,
    video_attention: VideoAttention.Config | None = None,
    classifier_weight: float = CLASSIFIER_WEIGHT,
) -> MethodConfig:
    """As released for HMDB51, UCF101 and SSv2-Small; ``run`` brings what other data sets have instead."""
    return _method(backbone, video_attention or VideoAttention.Config(), SetRelation.Config(), classifier_weight)


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The recipe's few-shot training, with what was released for its data set where ``method`` has the defaults.

    On SSv2-Full and Kinetics that is the classifier's weight, on Kinetics also the scales of features and positions.
    Other values than the defaults stay; to keep the defaults on these data sets too, call ``recipe.few_shot(method)``.
    """
    dataset = paper_dataset(recipe.data.dataset) or ""
    weight = CLASSIFIER_WEIGHTS.get(dataset, CLASSIFIER_WEIGHT)
    scales = _kinetics_scales(method.backbone) if dataset == _KINETICS else {}
    steps = tuple(
        step.model_copy(update={"stage": step.stage.model_copy(update=scales)})
        if isinstance(step.stage, VideoAttention.Config) and _has_default_scales(step.stage)
        else step
        for step in method.steps
    )
    losses = tuple(
        loss.model_copy(update={"weight": weight})
        if isinstance(loss, BaseClasses.Config) and loss.weight == CLASSIFIER_WEIGHT
        else loss
        for loss in method.losses
    )
    return recipe.few_shot(method.model_copy(update={"steps": steps, "losses": losses}))


def kinetics(backbone: BackboneConfig) -> MethodConfig:
    """As released for Kinetics: features not amplified, a weaker position code, classifier's weight 0.4."""
    attention = VideoAttention.Config.model_validate(_kinetics_scales(backbone))
    weight = CLASSIFIER_WEIGHTS[_KINETICS]
    return hyrsm(backbone, video_attention=attention, classifier_weight=weight)


def ssv2_full(backbone: BackboneConfig) -> MethodConfig:
    """As released for SSv2-Full: classifier's weight 0.6."""
    return hyrsm(backbone, classifier_weight=CLASSIFIER_WEIGHTS["ssv2_full"])


def no_relation(backbone: BackboneConfig) -> MethodConfig:
    """Without the relation within a task: every video keeps its own features."""
    return _method(backbone, VideoAttention.Config(), BiMhm.Config(), CLASSIFIER_WEIGHT)


def no_video_attention(backbone: BackboneConfig) -> MethodConfig:
    """Without attention within a video."""
    return _method(backbone, None, SetRelation.Config(), CLASSIFIER_WEIGHT)


def no_classifier(backbone: BackboneConfig) -> MethodConfig:
    """Without classification into the base classes."""
    return hyrsm(backbone, classifier_weight=0.0)


def _kinetics_scales(backbone: BackboneConfig) -> dict[str, float]:
    return {"amplification": float(backbone.shape(8, 224).dim), "position_scale": 0.01}


def _has_default_scales(attention: VideoAttention.Config) -> bool:
    default = VideoAttention.Config()
    return (attention.amplification, attention.position_scale) == (default.amplification, default.position_scale)


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
        "ssv2_full": ssv2_full,
        "no_relation": no_relation,
        "no_video_attention": no_video_attention,
        "no_classifier": no_classifier,
    },
    run=run,
)
