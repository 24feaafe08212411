"""What the rows of VIM's tables are composed of: its sampler, its alignment, and the run of either."""

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.data.config import NORMALISATIONS
from fsar_core.frame_samplers import FrameSamplerConfig, MgSampler, VideoSampler
from fsar_core.frame_samplers.scan_networks import ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector
from fsar_core.frame_samplers.video_sampler import SpatialConfig
from fsar_core.losses import InterVideo, IntraVideo, LossConfig
from fsar_core.matchers import MatcherConfig, PairAlignment, ProtoNet
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.presets import Recipe
from fsar_core.stages import FeatureDropout, SpatialPool, TemporalTransform

DENSE_FRAMES = 20
"""M, from which a sampler chooses."""
FRAMES = 8
"""T, which it keeps."""

_AMPLIFIER = SpatialAmplifier.Config()


def vim(
    backbone: BackboneConfig,
    *,
    frame_sampler: FrameSamplerConfig | None = None,
    transform: bool = True,
    alignment: PairAlignment.Config | None = None,
    intra_weight: float = 0.5,
    inter: InterVideo.Config | None = None,
) -> MethodConfig:
    """The full method. Without ``frame_sampler`` it gets VIM's own, without ``alignment`` that of the paper.

    A loss of weight 0 is left out, as is that of frames which no ``video_sampler`` chose.
    """
    frame_sampler = frame_sampler or sampler(backbone)
    inter = inter or InterVideo.Config()
    steps = [Step(name="features", stage=FeatureDropout.Config())]
    if transform:
        steps.append(Step(name="transformed", stage=TemporalTransform.Config()))
    head = Head(matcher=alignment or PairAlignment.Config(), reads=steps[-1].name, reduction="sum")
    losses: tuple[LossConfig, ...] = (inter,) if inter.weight else ()
    return MethodConfig(
        backbone=backbone,
        frame_sampler=frame_sampler,
        steps=tuple(steps),
        heads=(head,),
        losses=(*_intra(frame_sampler, intra_weight), *losses),
    )


def unaligned(
    backbone: BackboneConfig,
    *,
    frame_sampler: FrameSamplerConfig | None = None,
    matcher: MatcherConfig | None = None,
    intra_weight: float = 0.5,
) -> MethodConfig:
    """Without VIM's alignment: features are matched as they are, by ``matcher`` or frame by frame."""
    frame_sampler, matcher = frame_sampler or sampler(backbone), matcher or ProtoNet.Config()
    steps = [Step(name="features", stage=FeatureDropout.Config())]
    if matcher.reads == "frame":
        steps.append(Step(name="pooled", stage=SpatialPool.Config()))
    return MethodConfig(
        backbone=backbone,
        frame_sampler=frame_sampler,
        steps=tuple(steps),
        heads=(Head(matcher=matcher, reads=steps[-1].name, reduction="sum"),),
        losses=_intra(frame_sampler, intra_weight),
    )


def sampler(
    backbone: BackboneConfig,
    *,
    temporal: bool = True,
    spatial: SpatialConfig | None = _AMPLIFIER,
    adaptive: bool = True,
    keep: int = FRAMES,
    scan_size: int | None = None,
    scan_network: ScanNetwork.Config | None = None,
) -> VideoSampler.Config:
    """VIM's sampler; ``keep`` is T (table 7).

    Without ``scan_network`` (table 9) and ``scan_size`` (table 8) it gets ShuffleNetV2 0.5x, from ImageNet where the
    backbone starts there, and 64 pixels. Behind nets narrower than ResNets these and its layers are small, untrained.
    """
    dim = backbone.shape(FRAMES, 224).dim
    share = min(1.0, dim / 2048) if dim < 512 else 1.0
    hidden, task = max(1, int(512 * share)), max(1, int(128 * share))
    published = ScanNetwork.Config(weights="imagenet" if starts_from_imagenet(backbone) else "none")
    usual = published if share == 1 else ScanNetwork.Config(name="scan_tiny", weights="none")
    return VideoSampler.Config(
        keep=keep,
        temporal=TemporalSelector.Config(hidden=hidden) if temporal else None,
        spatial=spatial,
        task=TaskLearner.Config(dim=task) if adaptive else None,
        scan_network=scan_network or usual,
        scan_size=(64 if share == 1 else 32) if scan_size is None else scan_size,
    )


def starts_from_imagenet(backbone: BackboneConfig) -> bool:
    """Whether networks beside the backbone start there too, and pixels are normalised as there."""
    return backbone.weights == "imagenet"


def run(recipe: Recipe, method: MethodConfig, *, dense_frames: int = DENSE_FRAMES) -> RunConfig:
    """The training of any of VIM's methods.

    ``dense_frames`` is M (table 6): clips have as many frames where a sampler chooses among them, whatever the recipe
    says. Where a ``video_sampler`` only changes what frames show, clips have the T that it keeps, else as many as the
    recipe says. Pixels are normalised as on ImageNet where the backbone starts there, else as in the recipe.
    """
    changed: dict[str, object] = {}
    if starts_from_imagenet(method.backbone):
        changed["normalisation"] = NORMALISATIONS["imagenet"]
    chosen = method.frame_sampler
    if isinstance(chosen, MgSampler.Config) or (isinstance(chosen, VideoSampler.Config) and chosen.temporal):
        changed["frames"] = dense_frames
    elif isinstance(chosen, VideoSampler.Config):
        changed["frames"] = chosen.keep
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=changed)}).few_shot(method)


def _intra(frame_sampler: FrameSamplerConfig, weight: float) -> tuple[LossConfig, ...]:
    wanted = weight > 0 and isinstance(frame_sampler, VideoSampler.Config)
    return (IntraVideo.Config(weight=weight),) if wanted else ()
