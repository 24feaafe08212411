"""STRM: spatio-temporal relation modelling for few-shot action recognition.

Thatipelli et al., CVPR 2022, https://arxiv.org/abs/2112.05132. Patches are enriched within their frame (PLE), frames
within their video (FLE); TRX matches the result (TRM), and a second head the frames between the two (QC).
"""

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.matchers import QueryClass, Trx
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.methods.trx import filled, tuple_width
from fsar_core.presets import Recipe
from fsar_core.stages import FrameEnrichment, MaxMeanPool, PatchEnrichment, SpatialPool

_PATCHES, _FRAMES = PatchEnrichment.Config(), FrameEnrichment.Config()
_RELATION, _SIMILARITY = Trx.Config(), QueryClass.Config()


def strm(
    backbone: BackboneConfig,
    *,
    cardinalities: tuple[int, ...] = (2,),
    tuple_fraction: float = 1.0,
    tuple_seed: int = 0,
    out_dim: int | None = None,
    patches: PatchEnrichment.Config | SpatialPool.Config | MaxMeanPool.Config = _PATCHES,
    frames: FrameEnrichment.Config | None = _FRAMES,
    relation: Trx.Config = _RELATION,
    similarity: QueryClass.Config | None = _SIMILARITY,
    score_weight: float = 0.1,
    loss_weight: float = 0.1,
) -> MethodConfig:
    """As released, but with a similarity head that is trained, stored and silent in tests.

    None leaves a part out; the plain pools stand in for patch enrichment. Both heads keep the same tuples. ``out_dim``
    is TRX's, None for ``tuple_width``. ``relation`` and ``similarity`` change what has no argument of its own; raises
    ValueError where they set what has one. The weights are the similarity's.
    """
    tuples = {"cardinalities": cardinalities, "tuple_fraction": tuple_fraction, "tuple_seed": tuple_seed}
    steps = [Step(name="pooled", stage=patches)]
    if frames is not None:
        steps.append(Step(name="mixed", stage=frames))
    matcher = filled(relation, **tuples, out_dim=out_dim or tuple_width(backbone))
    heads = [Head(matcher=matcher, reads=steps[-1].name, reduction="sum")]
    if similarity is not None:
        heads.append(
            Head(
                matcher=filled(similarity, **tuples),
                reads="pooled",
                logit_weight=score_weight,
                loss_weight=loss_weight,
                reduction="sum",
            )
        )
    return MethodConfig(backbone=backbone, steps=tuple(steps), heads=tuple(heads))


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The recipe's few-shot training."""
    return recipe.few_shot(method)


def no_qc(backbone: BackboneConfig) -> MethodConfig:
    """Without the similarity head, in loss and score: fourth row of figure 6, left."""
    return strm(backbone, similarity=None)


def fle_only(backbone: BackboneConfig) -> MethodConfig:
    """Pooled frames, enriched, and TRX: third row of figure 6, left."""
    return strm(backbone, patches=SpatialPool.Config(), similarity=None)


def ple_only(backbone: BackboneConfig) -> MethodConfig:
    """Enriched patches and TRX: second row of figure 6, left."""
    return strm(backbone, frames=None, similarity=None)


def trm_only(backbone: BackboneConfig) -> MethodConfig:
    """TRX of pairs on pooled frames: first row of figure 6, left."""
    return strm(backbone, patches=SpatialPool.Config(), frames=None, similarity=None)


def no_ple(backbone: BackboneConfig) -> MethodConfig:
    """Pooled frames instead of enriched patches."""
    return strm(backbone, patches=SpatialPool.Config())


def no_ple_max(backbone: BackboneConfig) -> MethodConfig:
    """The mean over the patches' maxima instead of enriched patches."""
    return strm(backbone, patches=MaxMeanPool.Config())


def no_fle(backbone: BackboneConfig) -> MethodConfig:
    """TRX reads the frames before their enrichment."""
    return strm(backbone, frames=None)


def no_qc_score(backbone: BackboneConfig) -> MethodConfig:
    """The similarity head only trains: the paper does not say that it counts in a test."""
    return strm(backbone, score_weight=0.0)


def paper(backbone: BackboneConfig) -> MethodConfig:
    """Enrichments as printed: scaled attention without a gate, neither positions nor dropout. Biases stay."""
    return strm(
        backbone,
        patches=PatchEnrichment.Config(positions=False, dropout=0.0, scale="inv_sqrt", gate="one"),
        frames=FrameEnrichment.Config(positions=False, dropout=0.0),
    )


def release(backbone: BackboneConfig) -> MethodConfig:
    """With the released code's similarity head: random, never trained, with dropout in tests."""
    return strm(backbone, similarity=QueryClass.Config(projection="frozen", eval_dropout=True))


def singles(backbone: BackboneConfig) -> MethodConfig:
    """Single frames instead of pairs (table 2)."""
    return strm(backbone, cardinalities=(1,))


def triples(backbone: BackboneConfig) -> MethodConfig:
    """Triples of frames instead of pairs (table 2)."""
    return strm(backbone, cardinalities=(3,))


def quadruples(backbone: BackboneConfig) -> MethodConfig:
    """Quadruples of frames instead of pairs (table 2)."""
    return strm(backbone, cardinalities=(4,))


def pairs_triples(backbone: BackboneConfig) -> MethodConfig:
    """Pairs and triples (table 2)."""
    return strm(backbone, cardinalities=(2, 3))


def pairs_quadruples(backbone: BackboneConfig) -> MethodConfig:
    """Pairs and quadruples (table 2)."""
    return strm(backbone, cardinalities=(2, 4))


def triples_quadruples(backbone: BackboneConfig) -> MethodConfig:
    """Triples and quadruples (table 2)."""
    return strm(backbone, cardinalities=(3, 4))


def all_tuples(backbone: BackboneConfig) -> MethodConfig:
    """Pairs, triples and quadruples (table 2)."""
    return strm(backbone, cardinalities=(2, 3, 4))


def tuples_20(backbone: BackboneConfig) -> MethodConfig:
    """A random fifth of the pairs (figure 6, right)."""
    return strm(backbone, tuple_fraction=0.2)


def tuples_40(backbone: BackboneConfig) -> MethodConfig:
    """Two random fifths of the pairs (figure 6, right)."""
    return strm(backbone, tuple_fraction=0.4)


def tuples_60(backbone: BackboneConfig) -> MethodConfig:
    """Three random fifths of the pairs (figure 6, right)."""
    return strm(backbone, tuple_fraction=0.6)


def tuples_80(backbone: BackboneConfig) -> MethodConfig:
    """Four random fifths of the pairs (figure 6, right)."""
    return strm(backbone, tuple_fraction=0.8)


METHOD = PublishedMethod(
    title="Spatio-temporal relation modelling",
    source="Thatipelli et al. (STRM), CVPR 2022, https://arxiv.org/abs/2112.05132",
    variants={
        "strm": strm,
        "no_qc": no_qc,
        "fle_only": fle_only,
        "ple_only": ple_only,
        "trm_only": trm_only,
        "no_ple": no_ple,
        "no_ple_max": no_ple_max,
        "no_fle": no_fle,
        "no_qc_score": no_qc_score,
        "paper": paper,
        "release": release,
        "singles": singles,
        "triples": triples,
        "quadruples": quadruples,
        "pairs_triples": pairs_triples,
        "pairs_quadruples": pairs_quadruples,
        "triples_quadruples": triples_quadruples,
        "all_tuples": all_tuples,
        "tuples_20": tuples_20,
        "tuples_40": tuples_40,
        "tuples_60": tuples_60,
        "tuples_80": tuples_80,
    },
    run=run,
)
