"""TRX: temporal-relational cross-transformers for few-shot action recognition.

Perrett et al., CVPR 2021, https://arxiv.org/abs/2101.06184. Pooled frames, and attention among their ordered tuples.
"""

from typing import TypeVar

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.frozen import Frozen
from fsar_core.matchers import Trx
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.presets import Recipe
from fsar_core.stages import SpatialPool

_DEFAULT = Trx.Config()


def trx(
    backbone: BackboneConfig,
    *,
    cardinalities: tuple[int, ...] = (2, 3),
    tuple_fraction: float = 1.0,
    tuple_seed: int = 0,
    out_dim: int | None = None,
    matcher: Trx.Config = _DEFAULT,
) -> MethodConfig:
    """As released, with pairs and triples.

    ``out_dim``: None for ``tuple_width``. ``matcher`` changes what has no argument of its own, and raises ValueError
    where it sets what has one.
    """
    relation = filled(
        matcher,
        cardinalities=cardinalities,
        tuple_fraction=tuple_fraction,
        tuple_seed=tuple_seed,
        out_dim=out_dim or tuple_width(backbone),
    )
    return MethodConfig(
        backbone=backbone,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(Head(matcher=relation, reads="pooled", reduction="sum"),),
    )


C = TypeVar("C", bound=Frozen)


def filled(config: C, **values: object) -> C:
    """With these values. Raises ValueError if the config itself sets another one, which would be lost."""
    own = {name: getattr(config, name) for name in values if name in config.model_fields_set}
    lost = {name: value for name, value in own.items() if value != values[name]}
    if lost:
        raise ValueError(f"{', '.join(lost)} must be arguments of the method, but a config of its parts sets {lost}")
    return type(config).model_validate({**dict(config), **values})


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
