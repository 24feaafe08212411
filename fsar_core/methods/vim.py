"""VIM: few-shot action recognition via intra- and inter-video information maximization.

Liu et al., 2023; it joins Sampler (ACM MM 2022) and TA2N (AAAI 2022). A sampler scans
all frames, keeps and enlarges what matters; features move along time, and pairs are aligned in time and space before
frames are compared. Losses on either part keep the class information.
"""

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.data.config import NORMALISATIONS
from fsar_core.frame_samplers import FrameSamplerConfig, KeepAll, MgSampler, VideoSampler
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.scan_networks import ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector
from fsar_core.frame_samplers.video_sampler import SpatialConfig
from fsar_core.losses import InterVideo, IntraVideo, LossConfig
from fsar_core.matchers import (
    BiMhm,
    DropDtw,
    ExhaustiveSpatial,
    ExhaustiveTemporal,
    MatcherConfig,
    Otam,
    PairAlignment,
    ProtoNet,
    SoftDtw,
    Trx,
    Vava,
)
from fsar_core.matchers.alignment_relation import SetAttention
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.methods.trx import tuple_width
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
) -> VideoSampler.Config:
    """VIM's sampler. Behind nets narrower than ResNets its own network and layers are small too, and untrained."""
    dim = backbone.shape(FRAMES, 224).dim
    share = min(1.0, dim / 2048) if dim < 512 else 1.0
    hidden, task = max(1, int(512 * share)), max(1, int(128 * share))
    return VideoSampler.Config(
        keep=FRAMES,
        temporal=TemporalSelector.Config(hidden=hidden) if temporal else None,
        spatial=spatial,
        task=TaskLearner.Config(dim=task) if adaptive else None,
        scan_network=ScanNetwork.Config() if share == 1 else ScanNetwork.Config(name="scan_tiny", weights="none"),
        scan_size=64 if share == 1 else 32,
    )


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The training of any method of this module: 20 frames where a sampler chooses among them.

    ImageNet's normalisation where the backbone starts from ImageNet; one that the recipe trains keeps the recipe's.
    """
    changed: dict[str, object] = {} if recipe.needs else {"normalisation": NORMALISATIONS["imagenet"]}
    chosen = method.frame_sampler
    if isinstance(chosen, MgSampler.Config) or (isinstance(chosen, VideoSampler.Config) and chosen.temporal):
        changed["frames"] = max(DENSE_FRAMES, chosen.keep)
    elif isinstance(chosen, VideoSampler.Config):
        changed["frames"] = chosen.keep
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=changed)}).few_shot(method)


def _intra(frame_sampler: FrameSamplerConfig, weight: float) -> tuple[LossConfig, ...]:
    wanted = weight > 0 and isinstance(frame_sampler, VideoSampler.Config)
    return (IntraVideo.Config(weight=weight),) if wanted else ()


def no_sampler(backbone: BackboneConfig) -> MethodConfig:
    """All frames as they come, aligned (table 4)."""
    return vim(backbone, frame_sampler=KeepAll.Config())


def no_alignment(backbone: BackboneConfig) -> MethodConfig:
    """The sampler in front of ProtoNet (table 4)."""
    return unaligned(backbone)


def protonet(backbone: BackboneConfig) -> MethodConfig:
    """Neither sampler nor alignment: the baseline (table 4)."""
    return unaligned(backbone, frame_sampler=KeepAll.Config())


def no_intra(backbone: BackboneConfig) -> MethodConfig:
    """Without the intra-video loss (table 4)."""
    return vim(backbone, intra_weight=0.0)


def no_inter(backbone: BackboneConfig) -> MethodConfig:
    """Without the inter-video loss (table 4)."""
    return vim(backbone, inter=InterVideo.Config(weight=0.0))


def ts_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the temporal selector, with weights that are the same for all tasks (table 5)."""
    return unaligned(backbone, frame_sampler=sampler(backbone, spatial=None, adaptive=False))


def sa_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the spatial amplifier, with weights that are the same for all tasks (table 5)."""
    return unaligned(backbone, frame_sampler=sampler(backbone, temporal=False, adaptive=False))


def tc_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the temporal coordination (table 5)."""
    return vim(backbone, frame_sampler=KeepAll.Config(), alignment=PairAlignment.Config(spatial="none"))


def sc_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the spatial coordination (table 5)."""
    alignment = PairAlignment.Config(rearrange=False)
    return vim(backbone, frame_sampler=KeepAll.Config(), transform=False, alignment=alignment)


def no_amplifier(backbone: BackboneConfig) -> MethodConfig:
    """Frames are chosen and stay whole (table 10)."""
    return vim(backbone, frame_sampler=sampler(backbone, spatial=None))


def crop(backbone: BackboneConfig) -> MethodConfig:
    """A square is cut out of each frame instead of amplifying it (table 10)."""
    return vim(backbone, frame_sampler=sampler(backbone, spatial=Cropper.Config()))


def mgsampler(backbone: BackboneConfig) -> MethodConfig:
    """MGSampler in front of ProtoNet (table 11)."""
    imagenet = backbone.published() is not None
    weights = "imagenet" if imagenet else "none"
    return unaligned(backbone, frame_sampler=MgSampler.Config(keep=FRAMES, weights=weights))


def affine(backbone: BackboneConfig) -> MethodConfig:
    """The overlap of two maps is resampled instead of masked (table 13)."""
    return vim(backbone, alignment=PairAlignment.Config(spatial="affine"))


def enumerate_offsets(backbone: BackboneConfig) -> MethodConfig:
    """The best of all whole-cell offsets instead of a predicted one (table 13)."""
    return vim(backbone, alignment=PairAlignment.Config(spatial="enumerate"))


def spatial_first(backbone: BackboneConfig) -> MethodConfig:
    """Spatial coordination before the rearrangement (table 14)."""
    return vim(backbone, alignment=PairAlignment.Config(order="spatial_first"))


def otam_host(backbone: BackboneConfig) -> MethodConfig:
    """OTAM compares the aligned features (table 3); every shot is aligned alone."""
    return vim(backbone, alignment=PairAlignment.Config(host=Otam.Config(), shots="scores"))


def trx_host(backbone: BackboneConfig) -> MethodConfig:
    """TRX compares the aligned features (table 3); every shot is aligned alone."""
    host = Trx.Config(out_dim=tuple_width(backbone))
    return vim(backbone, alignment=PairAlignment.Config(host=host, shots="scores"))


def hyrsm_host(backbone: BackboneConfig) -> MethodConfig:
    """HyRSM's set attention before the alignment, Bi-MHM behind it (table 3)."""
    return vim(backbone, alignment=PairAlignment.Config(host=BiMhm.Config(), set_attention=SetAttention.Config()))


def soft_dtw(backbone: BackboneConfig) -> MethodConfig:
    """Soft-DTW instead of the alignment (table 15)."""
    return unaligned(backbone, matcher=SoftDtw.Config())


def drop_dtw(backbone: BackboneConfig) -> MethodConfig:
    """Drop-DTW instead of the alignment (table 15)."""
    return unaligned(backbone, matcher=DropDtw.Config())


def vava(backbone: BackboneConfig) -> MethodConfig:
    """VAVA instead of the alignment (table 15)."""
    return unaligned(backbone, matcher=Vava.Config())


def exhaustive_temporal(backbone: BackboneConfig) -> MethodConfig:
    """All pairs and triples of frames against each other, nothing learned (table 19)."""
    return unaligned(backbone, frame_sampler=KeepAll.Config(), matcher=ExhaustiveTemporal.Config())


def exhaustive_spatial(backbone: BackboneConfig) -> MethodConfig:
    """All offsets of two maps, nothing learned (table 19)."""
    return unaligned(backbone, frame_sampler=KeepAll.Config(), matcher=ExhaustiveSpatial.Config())


def exhaustive(backbone: BackboneConfig) -> MethodConfig:
    """All offsets for all pairs and triples of frames, nothing learned (table 19)."""
    return unaligned(backbone, frame_sampler=KeepAll.Config(), matcher=ExhaustiveSpatial.Config(temporal=True))


METHOD = PublishedMethod(
    title="Video information maximization",
    source="Liu et al. (VIM), 2023",
    variants={
        "vim": vim,
        "no_sampler": no_sampler,
        "no_alignment": no_alignment,
        "protonet": protonet,
        "no_intra": no_intra,
        "no_inter": no_inter,
        "ts_only": ts_only,
        "sa_only": sa_only,
        "tc_only": tc_only,
        "sc_only": sc_only,
        "no_amplifier": no_amplifier,
        "crop": crop,
        "mgsampler": mgsampler,
        "affine": affine,
        "enumerate": enumerate_offsets,
        "spatial_first": spatial_first,
        "otam_host": otam_host,
        "trx_host": trx_host,
        "hyrsm_host": hyrsm_host,
        "soft_dtw": soft_dtw,
        "drop_dtw": drop_dtw,
        "vava": vava,
        "exhaustive_temporal": exhaustive_temporal,
        "exhaustive_spatial": exhaustive_spatial,
        "exhaustive": exhaustive,
    },
    run=run,
)
