"""VIM: few-shot action recognition via intra- and inter-video information maximization.

Liu et al., 2023; it joins Sampler (ACM MM 2022) and TA2N (AAAI 2022). A sampler scans all frames, keeps and enlarges
what matters; features move along time, and pairs are aligned in time and space before frames are compared. Losses on
either part keep the class information.

Rows of tables 6 to 9 differ in numbers alone: ``sampler`` takes T, the scan's size and its network, ``run`` takes M.
"""

from fsar_core.backbones import BackboneConfig
from fsar_core.frame_samplers import KeepAll, MgSampler
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.losses import InterVideo
from fsar_core.matchers import (
    BiMhm,
    DropDtw,
    ExhaustiveSpatial,
    ExhaustiveTemporal,
    Otam,
    PairAlignment,
    SoftDtw,
    Trx,
    Vava,
)
from fsar_core.matchers.alignment_relation import SetAttention
from fsar_core.method import MethodConfig
from fsar_core.methods.published import PublishedMethod
from fsar_core.methods.trx import tuple_width
from fsar_core.methods.vim_parts import FRAMES, run, sampler, starts_from_imagenet, unaligned, vim

_NO_INTER = InterVideo.Config(weight=0.0)


def no_sampler(backbone: BackboneConfig) -> MethodConfig:
    """All frames as they come, aligned (table 4; TC+SC in table 5)."""
    return vim(backbone, frame_sampler=KeepAll.Config())


def no_alignment(backbone: BackboneConfig) -> MethodConfig:
    """The sampler in front of ProtoNet (table 4; TS+SA+Ada in table 5)."""
    return unaligned(backbone)


def protonet(backbone: BackboneConfig) -> MethodConfig:
    """Neither sampler nor alignment: the baseline (table 4)."""
    return unaligned(backbone, frame_sampler=KeepAll.Config())


def no_intra(backbone: BackboneConfig) -> MethodConfig:
    """Without the intra-video loss (table 4; weights 0 and 1 in table 16)."""
    return vim(backbone, intra_weight=0.0)


def no_inter(backbone: BackboneConfig) -> MethodConfig:
    """Without the inter-video loss (table 4). The intra-video loss has weight 1, not 0.5: the table prints the numbers
    of weights 1 and 0 in table 16."""
    return vim(backbone, intra_weight=1.0, inter=_NO_INTER)


def no_losses(backbone: BackboneConfig) -> MethodConfig:
    """Sampler and alignment with the classification loss alone (table 4)."""
    return vim(backbone, intra_weight=0.0, inter=_NO_INTER)


def sampler_no_loss(backbone: BackboneConfig) -> MethodConfig:
    """The sampler in front of ProtoNet, without the intra-video loss (table 4)."""
    return unaligned(backbone, intra_weight=0.0)


def alignment_no_loss(backbone: BackboneConfig) -> MethodConfig:
    """All frames as they come, aligned, without the inter-video loss (table 4)."""
    return vim(backbone, frame_sampler=KeepAll.Config(), inter=_NO_INTER)


def ts_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the temporal selector, with weights that are the same for all tasks (table 5)."""
    return unaligned(backbone, frame_sampler=sampler(backbone, spatial=None, adaptive=False))


def sa_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the spatial amplifier, with weights that are the same for all tasks (table 5)."""
    return unaligned(backbone, frame_sampler=sampler(backbone, temporal=False, adaptive=False))


def ts_sa(backbone: BackboneConfig) -> MethodConfig:
    """The whole sampler in front of ProtoNet, with weights that are the same for all tasks (table 5)."""
    return unaligned(backbone, frame_sampler=sampler(backbone, adaptive=False))


def ts_ada(backbone: BackboneConfig) -> MethodConfig:
    """The task-adaptive temporal selector in front of ProtoNet (tables 5 and 11)."""
    return unaligned(backbone, frame_sampler=sampler(backbone, spatial=None))


def sa_ada(backbone: BackboneConfig) -> MethodConfig:
    """The task-adaptive spatial amplifier in front of ProtoNet (table 5)."""
    return unaligned(backbone, frame_sampler=sampler(backbone, temporal=False))


def tc_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the temporal coordination (table 5; both parts in table 12)."""
    return vim(backbone, frame_sampler=KeepAll.Config(), alignment=PairAlignment.Config(spatial="none"))


def sc_only(backbone: BackboneConfig) -> MethodConfig:
    """Only the spatial coordination (table 5)."""
    alignment = PairAlignment.Config(rearrange=False)
    return vim(backbone, frame_sampler=KeepAll.Config(), transform=False, alignment=alignment)


def no_ts(backbone: BackboneConfig) -> MethodConfig:
    """Without the temporal selector: evenly spaced frames are amplified and aligned (table 5)."""
    return vim(backbone, frame_sampler=sampler(backbone, temporal=False))


def no_tc(backbone: BackboneConfig) -> MethodConfig:
    """Without the temporal coordination (table 5)."""
    return vim(backbone, transform=False, alignment=PairAlignment.Config(rearrange=False))


def no_sc(backbone: BackboneConfig) -> MethodConfig:
    """Without the spatial coordination (table 5)."""
    return vim(backbone, alignment=PairAlignment.Config(spatial="none"))


def no_amplifier(backbone: BackboneConfig) -> MethodConfig:
    """Frames are chosen and stay whole (table 10; TS+Ada+TC+SC in table 5)."""
    return vim(backbone, frame_sampler=sampler(backbone, spatial=None))


def crop(backbone: BackboneConfig) -> MethodConfig:
    """A square is cut out of each frame instead of amplifying it (table 10)."""
    return vim(backbone, frame_sampler=sampler(backbone, spatial=Cropper.Config()))


def mgsampler(backbone: BackboneConfig) -> MethodConfig:
    """MGSampler in front of ProtoNet (table 11)."""
    weights = "imagenet" if starts_from_imagenet(backbone) else "none"
    return unaligned(backbone, frame_sampler=MgSampler.Config(keep=FRAMES, weights=weights))


def transform_only(backbone: BackboneConfig) -> MethodConfig:
    """Of all parts the temporal transformation alone (table 12)."""
    return vim(
        backbone, frame_sampler=KeepAll.Config(), alignment=PairAlignment.Config(rearrange=False, spatial="none")
    )


def rearrange_only(backbone: BackboneConfig) -> MethodConfig:
    """Of all parts the temporal rearrangement alone (table 12)."""
    alignment = PairAlignment.Config(spatial="none")
    return vim(backbone, frame_sampler=KeepAll.Config(), transform=False, alignment=alignment)


def affine(backbone: BackboneConfig) -> MethodConfig:
    """The overlap of two maps is resampled instead of masked (table 13)."""
    return vim(backbone, alignment=PairAlignment.Config(spatial="affine"))


def enumerate_offsets(backbone: BackboneConfig) -> MethodConfig:
    """The best of all whole-cell offsets instead of a predicted one (table 13)."""
    return vim(backbone, alignment=PairAlignment.Config(spatial="enumerate"))


def spatial_first(backbone: BackboneConfig) -> MethodConfig:
    """Spatial coordination before the rearrangement (table 14)."""
    return vim(backbone, alignment=PairAlignment.Config(order="spatial_first"))


def intra_1_inter_half(backbone: BackboneConfig) -> MethodConfig:
    """Weights 1 and 0.5 of the intra- and the inter-video loss (table 16)."""
    return vim(backbone, intra_weight=1.0, inter=InterVideo.Config(weight=0.5))


def intra_1_inter_1(backbone: BackboneConfig) -> MethodConfig:
    """Weight 1 of both losses (table 16)."""
    return vim(backbone, intra_weight=1.0)


def otam_host(backbone: BackboneConfig) -> MethodConfig:
    """OTAM compares the aligned features (table 3); every shot is aligned alone, and distances are averaged."""
    return vim(backbone, alignment=PairAlignment.Config(host=Otam.Config(), shots="scores"))


def trx_host(backbone: BackboneConfig) -> MethodConfig:
    """TRX compares the aligned features (table 3); every shot is aligned alone, and TRX attends to all of a class."""
    host = Trx.Config(out_dim=tuple_width(backbone))
    return vim(backbone, alignment=PairAlignment.Config(host=host, shots="joint"))


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
    title="Intra- and inter-video information maximization",
    source="Liu et al. (VIM), 2023",
    variants={
        "vim": vim,
        "no_sampler": no_sampler,
        "no_alignment": no_alignment,
        "protonet": protonet,
        "no_intra": no_intra,
        "no_inter": no_inter,
        "no_losses": no_losses,
        "sampler_no_loss": sampler_no_loss,
        "alignment_no_loss": alignment_no_loss,
        "ts_only": ts_only,
        "sa_only": sa_only,
        "ts_sa": ts_sa,
        "ts_ada": ts_ada,
        "sa_ada": sa_ada,
        "tc_only": tc_only,
        "sc_only": sc_only,
        "no_ts": no_ts,
        "no_tc": no_tc,
        "no_sc": no_sc,
        "no_amplifier": no_amplifier,
        "crop": crop,
        "mgsampler": mgsampler,
        "transform_only": transform_only,
        "rearrange_only": rearrange_only,
        "affine": affine,
        "enumerate": enumerate_offsets,
        "spatial_first": spatial_first,
        "intra_1_inter_half": intra_1_inter_half,
        "intra_1_inter_1": intra_1_inter_1,
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
