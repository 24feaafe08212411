"""TRX: temporal-relational cross-transformers for few-shot action recognition.

Perrett et al., CVPR 2021, https://arxiv.org/abs/2101.06184. Pooled frames, and attention among their ordered tuples.
"""

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.matchers import Trx
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.presets import Recipe
from fsar_core.stages import SpatialPool


def trx(
    backbone: BackboneConfig, *, cardinalities: tuple[int, ...] = (2, 3), matcher: Trx.Config | None = None
) -> MethodConfig:
    """As released, with pairs and triples.

    ``matcher`` changes what else there is; its width and its cardinalities are not read.
    """
    sizes = {"cardinalities": cardinalities, "out_dim": tuple_width(backbone)}
    return MethodConfig(
        backbone=backbone,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(
            Head(
                matcher=Trx.Config.model_validate({**dict(matcher or Trx.Config()), **sizes}),
                reads="pooled",
                reduction="sum",
            ),
        ),
    )


def tuple_width(backbone: BackboneConfig) -> int:
    """Channels of keys and values: 1152 as released, in proportion to ResNet-50 behind narrower nets than ResNets."""
    dim = backbone.shape(8, 224).dim
    return 1152 if dim >= 512 else 1152 * dim // 2048


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The recipe's few-shot training."""
    return recipe.few_shot(method)


def pairs(backbone: BackboneConfig) -> MethodConfig:
    """Pairs of frames only, which is also STRM's baseline."""
    return trx(backbone, cardinalities=(2,))


def triples(backbone: BackboneConfig) -> MethodConfig:
    """Triples of frames only."""
    return trx(backbone, cardinalities=(3,))


def quadruples(backbone: BackboneConfig) -> MethodConfig:
    """Quadruples of frames only."""
    return trx(backbone, cardinalities=(4,))


def all_tuples(backbone: BackboneConfig) -> MethodConfig:
    """Pairs, triples and quadruples."""
    return trx(backbone, cardinalities=(2, 3, 4))


def formula(backbone: BackboneConfig) -> MethodConfig:
    """As printed (STRM, eq. 1): norms that are not squared, summed over the cardinalities."""
    return trx(backbone, matcher=Trx.Config(distance="l2", branch_reduction="sum"))


METHOD = PublishedMethod(
    title="Temporal-relational cross-transformers",
    source="Perrett et al. (TRX), CVPR 2021, https://arxiv.org/abs/2101.06184",
    variants={
        "trx": trx,
        "pairs": pairs,
        "triples": triples,
        "quadruples": quadruples,
        "all_tuples": all_tuples,
        "formula": formula,
    },
    run=run,
)
