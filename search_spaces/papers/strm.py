"""STRM's tables: how the settings of a printed number become a run."""

from typing import Literal, Self

from pydantic import Field, model_validator

from fsar_core.backbones import BackboneConfig
from fsar_core.matchers import QueryClass
from fsar_core.method import MethodConfig
from fsar_core.methods import strm, trx
from fsar_core.presets import Recipe
from fsar_core.stages import FrameEnrichment, PatchEnrichment, SpatialPool
from search_spaces.papers.paper import Knobs, Paper, Resolved
from search_spaces.papers.settings import RowSettings, read


class _Settings(RowSettings):
    """The defaults are those of the full method."""

    method: Literal["STRM"]
    cardinalities: tuple[int, ...] = (2,)
    patch_enrichment: bool = True
    frame_enrichment: bool = True
    query_class_classifier: bool = True
    weight: float = Field(default=0.1, ge=0, alias="lambda")
    """Of the classifier's loss."""
    eval_tuple_fraction: float = Field(default=1.0, gt=0, le=1)
    """Tuples that a test keeps."""

    @model_validator(mode="after")
    def _weighs_a_loss(self) -> Self:
        if self.weight and not self.query_class_classifier:
            raise ValueError(f"lambda weighs query_class_classifier, which is off; got {self.weight:g}")
        return self

    def built(self, backbone: BackboneConfig, *, tuple_fraction: float = 1.0) -> MethodConfig:
        return strm.strm(
            backbone,
            cardinalities=self.cardinalities,
            tuple_fraction=tuple_fraction,
            patches=PatchEnrichment.Config() if self.patch_enrichment else SpatialPool.Config(),
            frames=FrameEnrichment.Config() if self.frame_enrichment else None,
            similarity=QueryClass.Config() if self.query_class_classifier else None,
            loss_weight=self.weight,
        )


class _TrxSettings(RowSettings):
    """Of TRX, which the paper trains on other backbones."""

    method: Literal["TRX"]
    cardinalities: tuple[int, ...] = (2, 3)
    """As released; the paper does not say which."""


def resolve(knobs: Knobs, recipe: Recipe) -> Resolved:
    """See ``Paper``. The classifier counts in a test, by a tenth, wherever it is trained."""
    if knobs.get("method") == "TRX":
        other = read(_TrxSettings, knobs)
        recipe = other.changed(recipe)
        return Resolved(run=trx.run(recipe, trx.trx(recipe.backbone, cardinalities=other.cardinalities)))
    row = read(_Settings, knobs)
    recipe = row.changed(recipe)
    run = strm.run(recipe, row.built(recipe.backbone))
    if row.eval_tuple_fraction == 1:
        return Resolved(run=run)
    fewer = row.built(recipe.backbone, tuple_fraction=row.eval_tuple_fraction)
    return Resolved(run=run, measured=strm.run(recipe, fewer).method)


PAPER = Paper(
    name="strm",
    title="Spatio-temporal Relation Modeling for Few-shot Action Recognition",
    source="CVPR 2022, https://arxiv.org/abs/2112.05132",
    resolve=resolve,
)
