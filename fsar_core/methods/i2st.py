"""I2ST. Qian et al., CVIU 2025, https://arxiv.org/abs/2503.14430. No public code is known.

An encoder draws instance embeddings from the backbone's map; in training a decoder turns them into the instance masks
of the frames, which a segmenter made before. Image features and instances attend over space and over time, a token
gathers the clip, and clips are compared by their vectors and their frames. What the paper leaves open follows MoLo.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.data.config import Flip, Jitter
from fsar_core.losses import BaseClasses, LossConfig, MaskRegression
from fsar_core.mask_settings import MaskSettings
from fsar_core.matchers import BiMhm, GlobalLocal, MatcherConfig, Otam, TokenContrast
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.presets import Recipe, paper_dataset
from fsar_core.stages import (
    GlobalFusion,
    ImageAttention,
    InstanceAttention,
    InstanceEncoder,
    PooledSum,
    SpatialPool,
)


@dataclass(frozen=True, kw_only=True)
class DatasetWeights:
    """What a data set of the paper is trained with."""

    masks: float
    """lambda of equation 7. The paper gives none; MoLo's weights of its reconstruction, put on the scale of the other
    terms."""
    classes: float
    """Of the cross-entropy of the base classes, as in MoLo's configurations."""


DATASET_WEIGHTS: Mapping[str, DatasetWeights] = {
    "hmdb51": DatasetWeights(masks=0.2, classes=0.4),
    "ucf101": DatasetWeights(masks=0.2, classes=0.6),
    "kinetics100": DatasetWeights(masks=0.4, classes=0.1),
    "ssv2_small": DatasetWeights(masks=0.2, classes=0.15),
    "ssv2_full": DatasetWeights(masks=0.4, classes=0.8),
}


def i2st(
    backbone: BackboneConfig,
    *,
    spatial: bool = True,
    temporal: bool = True,
    fusion: Literal["self", "cross"] = "self",
    matcher: GlobalLocal.Config | None = None,
    mask_weight: float | None = None,
    contrast_weight: float = 0.05,
    class_weight: float | None = None,
    masks: MaskSettings | None = None,
) -> MethodConfig:
    """The full method. ``mask_weight`` 0 keeps the instance encoder and leaves it without supervision.

    A weight of None is open: ``run`` sets that of the data set; without ``run`` it is 0.2 for the masks and no
    classification. Any number, 0 too, stays. ``masks``: how the stored masks are read.
    """
    attention = InstanceAttention.Config(spatial=spatial, temporal=temporal, fusion=fusion)
    steps = (_encoder(backbone), Step(name="attended", stage=attention, reads=("backbone", "instances")))
    return _fused(backbone, steps, matcher, _mask_loss(backbone, mask_weight, masks), contrast_weight, class_weight)


def no_instances(
    backbone: BackboneConfig,
    *,
    spatial: bool = True,
    temporal: bool = True,
    contrast_weight: float = 0.05,
    class_weight: float | None = None,
) -> MethodConfig:
    """Only the image stream: no instance encoder, no masks (table 3)."""
    attention = ImageAttention.Config(spatial=spatial, temporal=temporal)
    return _fused(backbone, (Step(name="attended", stage=attention),), None, (), contrast_weight, class_weight)


def gap_sum(
    backbone: BackboneConfig,
    *,
    matcher: MatcherConfig | None = None,
    mask_weight: float | None = None,
    masks: MaskSettings | None = None,
) -> MethodConfig:
    """No attention: pooled image features and pooled instances, added, are matched by Bi-MHM (table 3)."""
    pooled = Step(name="pooled", stage=PooledSum.Config(), reads=("backbone", "instances"))
    return MethodConfig(
        backbone=backbone,
        steps=(_encoder(backbone), pooled),
        heads=(Head(matcher=matcher or BiMhm.Config(), reads="pooled"),),
        losses=_mask_loss(backbone, mask_weight, masks),
        joint_batch_norm=True,
    )


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The training of any method of this module.

    On a data set of the paper, query clips get colour jitter (section 4.1) and a flip in every second one (MoLo's code;
    not on Something-Something, where a flip swaps classes), and losses whose weight ``method`` leaves open get that of
    ``DATASET_WEIGHTS``. Elsewhere recipe and method stay as they are.
    """
    dataset = paper_dataset(recipe.data.dataset)
    if dataset is not None:
        flip = recipe.data.flip if dataset.startswith("ssv2_") else Flip(query=0.5)
        data = recipe.data.model_copy(update={"jitter": Jitter(), "flip": flip})
        recipe = recipe.model_copy(update={"data": data})
        method = with_dataset_weights(method, dataset)
    return recipe.few_shot(method)


def with_dataset_weights(method: MethodConfig, dataset: str) -> MethodConfig:
    """The method with the loss weights of a data set of the paper, where it leaves them open.

    Open is the weight of a mask loss that was made without naming one; a method read from JSON names all. The
    cross-entropy of the base classes stands beside the contrast of tokens in MoLo's code, so it is added where it is
    missing, behind a global fusion only.
    """
    weights = DATASET_WEIGHTS[dataset]
    losses: list[LossConfig] = [
        loss.model_copy(update={"weight": weights.masks}) if _is_open(loss) else loss for loss in method.losses
    ]
    if not any(isinstance(loss, BaseClasses.Config) for loss in losses):
        fused = [step.name for step in method.steps if isinstance(step.stage, GlobalFusion.Config)]
        losses += [BaseClasses.Config(weight=weights.classes, over="mean", reads=name) for name in fused]
    return method.model_copy(update={"losses": tuple(losses)})


def _is_open(loss: LossConfig) -> bool:
    return isinstance(loss, MaskRegression.Config) and "weight" not in loss.model_fields_set


def _fused(
    backbone: BackboneConfig,
    steps: tuple[Step, ...],
    matcher: GlobalLocal.Config | None,
    losses: tuple[LossConfig, ...],
    contrast_weight: float,
    class_weight: float | None,
) -> MethodConfig:
    heads = [Head(matcher=matcher or GlobalLocal.Config(), reads="fused")]
    if contrast_weight:
        heads += [
            Head(matcher=contrast, reads="fused", logit_weight=0.0, loss_weight=contrast_weight)
            for contrast in (
                TokenContrast.Config(direction="support_to_query"),
                TokenContrast.Config(direction="query_to_support"),
            )
        ]
    if class_weight is not None:
        losses += (BaseClasses.Config(weight=class_weight, over="mean", reads="fused"),)
    return MethodConfig(
        backbone=backbone,
        steps=(*steps, Step(name="fused", stage=GlobalFusion.Config())),
        heads=tuple(heads),
        losses=losses,
        joint_batch_norm=True,
    )


def _encoder(backbone: BackboneConfig) -> Step:
    return Step(name="instances", stage=InstanceEncoder.Config(mid=_mid(backbone)))


def _mask_loss(backbone: BackboneConfig, weight: float | None, masks: MaskSettings | None) -> tuple[LossConfig, ...]:
    if weight == 0:
        return ()
    mid = _mid(backbone)
    pixels = 224 // backbone.shape(8, 224).cells
    loss = MaskRegression.Config(
        mid=mid,
        channels=(_narrow(mid // 2), _narrow(mid // 8), _narrow(mid // 16)),
        ups=(2, max(1, pixels // 8), 4),
        masks=masks or MaskSettings(),
    )
    return (loss if weight is None else MaskRegression.Config.model_validate(dict(loss) | {"weight": weight}),)


def _mid(backbone: BackboneConfig) -> int:
    """An eighth of the backbone's channels, 256 for ResNet-50."""
    return _narrow(backbone.shape(8, 224).dim // 8)


def _narrow(channels: int) -> int:
    """At least 4 channels, which matters to small test backbones only: a ReLU of a single channel may die for good."""
    return max(4, channels)


def cross_attention(backbone: BackboneConfig) -> MethodConfig:
    """One attention per branch, with the instances as queries and the image as keys and values (table 4)."""
    return i2st(backbone, fusion="cross")


def otam_ipm(backbone: BackboneConfig) -> MethodConfig:
    """``gap_sum`` matched by OTAM on averaged shots (table 4)."""
    return gap_sum(backbone, matcher=Otam.Config(shots="features", cosine_eps=0.0))


def spatial_only(backbone: BackboneConfig) -> MethodConfig:
    """Without the temporal branch (tables 3 and 8)."""
    return i2st(backbone, temporal=False)


def temporal_only(backbone: BackboneConfig) -> MethodConfig:
    """Without the spatial branch (tables 3 and 8)."""
    return i2st(backbone, spatial=False)


def no_instances_spatial(backbone: BackboneConfig) -> MethodConfig:
    """Only the image stream, without the temporal branch (table 3)."""
    return no_instances(backbone, temporal=False)


def no_instances_temporal(backbone: BackboneConfig) -> MethodConfig:
    """Only the image stream, without the spatial branch (table 3)."""
    return no_instances(backbone, spatial=False)


def local_only(backbone: BackboneConfig) -> MethodConfig:
    """Matches the frames by Bi-MHM and leaves the clips' vectors out (table 5)."""
    return i2st(backbone, matcher=GlobalLocal.Config(mode="local"))


def local_otam(backbone: BackboneConfig) -> MethodConfig:
    """Matches the frames by OTAM and leaves the clips' vectors out (table 5)."""
    return i2st(backbone, matcher=GlobalLocal.Config(mode="local", metric="otam"))


def baseline(backbone: BackboneConfig, *, matcher: MatcherConfig | None = None) -> MethodConfig:
    """Pooled image features matched by Bi-MHM: the first row of table 3."""
    return MethodConfig(
        backbone=backbone,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(Head(matcher=matcher or BiMhm.Config(), reads="pooled"),),
        joint_batch_norm=True,
    )


def otam(backbone: BackboneConfig) -> MethodConfig:
    """``baseline`` matched by OTAM on averaged shots: the first row of table 4."""
    return baseline(backbone, matcher=Otam.Config(shots="features", cosine_eps=0.0))


METHOD = PublishedMethod(
    title="Joint image-instance spatial-temporal attention",
    source="I2ST. Qian et al., CVIU 2025, https://arxiv.org/abs/2503.14430",
    variants={
        "i2st": i2st,
        "cross_attention": cross_attention,
        "spatial_only": spatial_only,
        "temporal_only": temporal_only,
        "local_only": local_only,
        "local_otam": local_otam,
        "no_instances": no_instances,
        "no_instances_spatial": no_instances_spatial,
        "no_instances_temporal": no_instances_temporal,
        "gap_sum": gap_sum,
        "otam_ipm": otam_ipm,
        "baseline": baseline,
        "otam": otam,
    },
    run=run,
)
