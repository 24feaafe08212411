"""What the joint space draws of each method: its main switches and weights, and the paper's setting among them.

Names are a method's own wherever another method means something else by the word or has another range. No two points
are one training: a switch whose setting would make one method into another is not drawn (STRM without all its parts is
TRX, HyRSM without both relations is Bi-MHM), nor is the weight of a part that is off.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.frame_samplers import FrameSamplerConfig, KeepAll
from fsar_core.losses import BaseClasses, InterVideo
from fsar_core.losses.frame_masking import MaskStrategy
from fsar_core.matchers import BiMhm, MatcherConfig, Otam, PairAlignment, QueryClass
from fsar_core.methods import frame_matching, hyrsm, sgtm, strm, trx
from fsar_core.methods.vim_parts import run as vim_run
from fsar_core.methods.vim_parts import sampler, vim
from fsar_core.presets import Recipe, paper_dataset
from fsar_core.stages import FrameEnrichment, PatchEnrichment, SpatialPool
from search_spaces.space import Point

_CARDINALITIES = ("2", "3", "2,3", "2,3,4")
_MASKS: Mapping[str, MaskStrategy] = {"saliency": "ambiguous_visible", "random": "random"}
_METRICS: Mapping[str, MatcherConfig] = {"otam": Otam.Config(), "bimhm": BiMhm.Config()}
_RELATIONS = {"both": hyrsm.hyrsm, "within videos": hyrsm.no_relation, "within the task": hyrsm.no_video_attention}
_ALIGNED = {
    "in time and space": PairAlignment.Config(),
    "in time": PairAlignment.Config(spatial="none"),
    "in space": PairAlignment.Config(rearrange=False),
}


@dataclass(frozen=True)
class JointMethod:
    """A method of the joint space."""

    draw: Callable[[BaseTrial, Recipe], RunConfig]
    paper: Callable[[Recipe], Point]
    """Its own setting, without optimiser and schedule."""


def _trx(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    return trx.run(recipe, trx.trx(recipe.backbone, cardinalities=_cardinalities(trial)))


def _strm(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    cardinalities = _cardinalities(trial)
    patches, frames = _switch(trial, "patch_enrichment"), _switch(trial, "frame_enrichment")
    similarity = not (patches or frames) or _switch(trial, "query_class_similarity")
    weight = _float(trial, "similarity_weight", 0.05, 1.0, 0.05) if similarity else 0.0
    method = strm.strm(
        recipe.backbone,
        cardinalities=cardinalities,
        patches=PatchEnrichment.Config() if patches else SpatialPool.Config(),
        frames=FrameEnrichment.Config() if frames else None,
        similarity=QueryClass.Config() if similarity else None,
        score_weight=weight,
        loss_weight=weight,
    )
    return strm.run(recipe, method)


def _hyrsm(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    relation = _RELATIONS[_word(trial, "relation", tuple(_RELATIONS))]
    weight = _float(trial, "classifier_weight", 0.0, 1.0, 0.05)
    run = hyrsm.run(recipe, relation(recipe.backbone))
    losses = tuple(
        loss.model_copy(update={"weight": weight}) for loss in run.method.losses if isinstance(loss, BaseClasses.Config)
    )
    return run.model_copy(update={"method": run.method.model_copy(update={"losses": losses if weight else ()})})


def _sgtm(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    matcher = _METRICS[_word(trial, "frame_metric", tuple(_METRICS))]
    masks = _word(trial, "masks", (*_MASKS, "none"))
    if masks == "none":
        return sgtm.run(recipe, sgtm.encoder_only(recipe.backbone, matcher))
    frames = recipe.data.frames
    ratio = trial.suggest_int("masked_frames", 2, (frames - 1) // 2 * 2, step=2) / frames
    weight = _float(trial, "lambda", 0.1, 1.0, 0.1)
    method = sgtm.sgtm(recipe.backbone, strategy=_MASKS[masks], ratio=ratio, weight=weight, matcher=matcher)
    return sgtm.run(recipe, method)


def _vim(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    chosen = _frame_sampler(recipe, _word(trial, "frame_sampler", ("selector and amplifier", "selector", "none")))
    intra = 0.0 if isinstance(chosen, KeepAll.Config) else _float(trial, "mu_intra", 0.0, 1.0, 0.1)
    aligned = _word(trial, "aligned", tuple(_ALIGNED))
    inter = _float(trial, "mu_inter", 0.0, 1.0, 0.1)
    method = vim(
        recipe.backbone,
        frame_sampler=chosen,
        transform=aligned != "in space",
        alignment=_ALIGNED[aligned],
        intra_weight=intra,
        inter=InterVideo.Config(weight=inter),
    )
    return vim_run(recipe, method)


def _frame_sampler(recipe: Recipe, name: str) -> FrameSamplerConfig:
    match name:
        case "none":
            return KeepAll.Config()
        case "selector":
            return sampler(recipe.backbone, spatial=None)
        case _:
            return sampler(recipe.backbone)


def _classifier_weight(recipe: Recipe) -> float:
    return hyrsm.CLASSIFIER_WEIGHTS.get(paper_dataset(recipe.data.dataset) or "", hyrsm.CLASSIFIER_WEIGHT)


def _matching(variant: str) -> JointMethod:
    method = frame_matching.METHOD.variants[variant]
    return JointMethod(lambda _, recipe: frame_matching.run(recipe, method(recipe.backbone)), lambda _: {})


def _cardinalities(trial: BaseTrial) -> tuple[int, ...]:
    return tuple(map(int, _word(trial, "cardinalities", _CARDINALITIES).split(",")))


def _switch(trial: BaseTrial, name: str) -> bool:
    return bool(trial.suggest_categorical(name, (True, False)))


def _word(trial: BaseTrial, name: str, words: tuple[str, ...]) -> str:
    return trial.suggest_categorical(name, words)


def _float(trial: BaseTrial, name: str, low: float, high: float, step: float) -> float:
    return round(trial.suggest_float(name, low, high, step=step), 2)


JOINT_METHODS: Mapping[str, JointMethod] = {
    "protonet": _matching("protonet"),
    "otam": _matching("otam"),
    "trx": JointMethod(_trx, lambda _: {"cardinalities": "2,3"}),
    "bimhm": _matching("bimhm"),
    "hyrsm": JointMethod(_hyrsm, lambda r: {"relation": "both", "classifier_weight": _classifier_weight(r)}),
    "strm": JointMethod(
        _strm,
        lambda _: {
            "cardinalities": "2",
            "patch_enrichment": True,
            "frame_enrichment": True,
            "query_class_similarity": True,
            "similarity_weight": 0.1,
        },
    ),
    "vim": JointMethod(
        _vim,
        lambda _: {
            "frame_sampler": "selector and amplifier",
            "mu_intra": 0.5,
            "aligned": "in time and space",
            "mu_inter": 1.0,
        },
    ),
    "sgtm": JointMethod(
        _sgtm,
        lambda r: {
            "frame_metric": "otam",
            "masks": "saliency",
            "masked_frames": 2 * round(r.data.frames / 4),
            "lambda": 0.5,
        },
    ),
}
"""By name, in the order in which they were published."""
