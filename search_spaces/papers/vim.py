"""VIM's tables: how the settings of a printed number become a run."""

from dataclasses import replace

from fsar_core.backbones import BackboneConfig
from fsar_core.frame_samplers import Evenly, FrameSamplerConfig
from fsar_core.losses import InterVideo
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
from fsar_core.method import MethodConfig
from fsar_core.methods import frame_matching, hyrsm, trx
from fsar_core.methods.trx import tuple_width
from fsar_core.methods.vim_parts import DENSE_FRAMES, run, unaligned, vim
from fsar_core.presets import Recipe
from search_spaces.papers.paper import Knobs, Paper, RefusedError, Resolved
from search_spaces.papers.settings import read
from search_spaces.papers.vim_sampler import PUBLISHED_SIZE, frame_sampler
from search_spaces.papers.vim_settings import OtherSettings, Settings

_OTHERS = {
    "OTAM": (frame_matching.run, frame_matching.otam),
    "TRX": (trx.run, trx.trx),
    "HyRSM": (hyrsm.run, hyrsm.hyrsm),
}
_INSTEAD: dict[str, MatcherConfig] = {
    "soft_dtw": SoftDtw.Config(),
    "drop_dtw": DropDtw.Config(),
    "vava": Vava.Config(),
}
"""Of VIM's alignment (table 15)."""
_EXHAUSTIVE: dict[str, MatcherConfig] = {
    "temporal": ExhaustiveTemporal.Config(),
    "spatial": ExhaustiveSpatial.Config(),
    "temporal+spatial": ExhaustiveSpatial.Config(temporal=True),
}
_UNSTATED_INTRA = 0.5
"""Where the sampler stands alone, table 4 prints its loss without a weight; this is that of the full method."""


def resolve(knobs: Knobs, recipe: Recipe) -> Resolved:
    """See ``Paper``. Without a temporal selector clips have T frames: nothing chooses among more."""
    if knobs.get("method") in _OTHERS:
        return _other(read(OtherSettings, knobs), recipe)
    settings = read(Settings, knobs)
    recipe = settings.changed(recipe)
    backbone = recipe.backbone
    chosen = frame_sampler(settings, backbone, recipe.data.crop)
    method, dense = _method(settings, backbone, chosen), settings.dense_frames or DENSE_FRAMES
    trained = run(_resized(recipe, settings.frame_size), method, dense_frames=dense)
    return Resolved(run=trained, measured=_measured(settings, backbone, chosen))


def _other(settings: OtherSettings, recipe: Recipe) -> Resolved:
    train, build = _OTHERS[settings.method]
    recipe = settings.changed(recipe)
    return Resolved(run=train(recipe, build(recipe.backbone)))


def _resized(recipe: Recipe, frame_size: int) -> Recipe:
    """Crops grow as ``frame_size`` does over 224, and what they are cut from with them."""
    data = recipe.data
    crop, rest = divmod(data.crop * frame_size, PUBLISHED_SIZE)
    size, more = divmod(data.resize.size * frame_size, PUBLISHED_SIZE)
    if rest or more:
        raise RefusedError(
            f"frame_size {frame_size} must make whole numbers of the recipe's crops of {data.crop} out of "
            f"{data.resize.size} pixels, {frame_size} / {PUBLISHED_SIZE} times as large"
        )
    changed = data.model_copy(update={"crop": crop, "resize": replace(data.resize, size=size)})
    return recipe.model_copy(update={"data": changed})


def _method(settings: Settings, backbone: BackboneConfig, chosen: FrameSamplerConfig) -> MethodConfig:
    intra = _UNSTATED_INTRA if settings.mu_intra is None else settings.mu_intra
    if not settings.has_alignment():
        return unaligned(backbone, frame_sampler=chosen, matcher=_matcher(settings), intra_weight=intra)
    return vim(
        backbone,
        frame_sampler=chosen,
        transform=_has(settings, "transform"),
        alignment=_alignment(settings, backbone),
        intra_weight=intra,
        inter=InterVideo.Config(weight=settings.mu_inter),
    )


def _measured(settings: Settings, backbone: BackboneConfig, chosen: FrameSamplerConfig) -> MethodConfig | None:
    """What is left of the method in the test of table 17: T evenly spaced frames, or ProtoNet on the sampled ones."""
    if settings.eval_remove is None:
        return None
    if settings.eval_remove == "sampler":
        return _method(settings, backbone, Evenly.Config(keep=settings.frames)).for_test()
    return unaligned(backbone, frame_sampler=chosen).for_test()


def _matcher(settings: Settings) -> MatcherConfig:
    if settings.exhaustive is not None:
        return _EXHAUSTIVE[settings.exhaustive]
    return ProtoNet.Config() if settings.alignment_method is None else _INSTEAD[settings.alignment_method]


def _alignment(settings: Settings, backbone: BackboneConfig) -> PairAlignment.Config:
    rearrange, order = _has(settings, "rearrange"), settings.alignment_order or "temporal_first"
    spatial = settings.sc_implementation or "none"
    match settings.match_metric:
        case "dtw":
            host, shots = Otam.Config(), "scores"
        case "exhaustive_pairs_triplets":
            host, shots = Trx.Config(out_dim=tuple_width(backbone)), "joint"
        case "bi_mhm":
            host, shots = BiMhm.Config(), "mean"
        case "framewise_cosine":
            host, shots = ProtoNet.Config(), "mean"
    relation = SetAttention.Config() if settings.set_attention else None
    return PairAlignment.Config(
        rearrange=rearrange, spatial=spatial, order=order, shots=shots, host=host, set_attention=relation
    )


def _has(settings: Settings, part: str) -> bool:
    """A part of the temporal coordination."""
    return part in (settings.tc_parts or "").split("+")


PAPER = Paper(
    name="vim",
    title="Few-shot action recognition via intra- and inter-video information maximization",
    source="Liu et al. (VIM), 2023",
    resolve=resolve,
)
