"""SGTM's tables: how the settings of a printed number become a run."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from fsar_core.losses.frame_masking import MaskStrategy
from fsar_core.matchers import BiMhm, MatcherConfig, Otam
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.papers.paper import Knobs, Paper, Resolved
from search_spaces.papers.settings import RowSettings, read

_METRICS: dict[str, MatcherConfig] = {"otam": Otam.Config(), "bi_mhm": BiMhm.Config()}


class _Selection(NamedTuple):
    strategy: MaskStrategy
    frames: int | None
    """That its name speaks of."""


_SELECTIONS = {
    "top2+bottom2_saliency": _Selection("ambiguous_visible", 4),
    "top4_saliency": _Selection("top", 4),
    "bottom4_saliency": _Selection("bottom", 4),
    "middle4_saliency": _Selection("middle", 4),
    "random": _Selection("random", None),
    None: _Selection("none", 0),
}


class _Settings(RowSettings):
    """The defaults are those of the full method."""

    method: Literal["SGTM"]
    frame_metric: Literal["otam", "bi_mhm"] = "otam"
    encoder: bool = True
    temporal_mask_learning: bool = True
    """The masked branch of the training."""
    mask_selection: (
        Literal["top2+bottom2_saliency", "top4_saliency", "bottom4_saliency", "middle4_saliency", "random"] | None
    ) = "top2+bottom2_saliency"
    masked_frames: int = Field(default=4, ge=0)
    weight: float = Field(default=0.5, ge=0, alias="lambda")

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def selection(self) -> _Selection:
        return _SELECTIONS[self.mask_selection]

    def _faults(self) -> Iterator[str]:
        if self.temporal_mask_learning and not self.encoder:
            yield "temporal_mask_learning masks the tokens of the encoder, which is off"
        if self.temporal_mask_learning != (self.mask_selection is not None):
            yield f"mask_selection goes with temporal_mask_learning, and only with it; got {self.mask_selection!r}"
        if self.selection().frames not in (None, self.masked_frames):
            yield (
                f"masked_frames must be {self.selection().frames} with mask_selection {self.mask_selection!r}, "
                f"got {self.masked_frames}"
            )
        if self.weight and not self.temporal_mask_learning:
            yield f"lambda weighs temporal_mask_learning, which is off; got {self.weight:g}"


def resolve(knobs: Knobs, recipe: Recipe) -> Resolved:
    """See ``Paper``. A weight of 0 keeps the masked branch, and with it the run of class scores before: the paper has a
    row for it beside that without the branch."""
    row = read(_Settings, knobs)
    recipe = row.changed(recipe)
    backbone, metric = recipe.backbone, _METRICS[row.frame_metric]
    if not row.encoder:
        method = sgtm.baseline(backbone, metric)
    elif not row.temporal_mask_learning:
        method = sgtm.encoder_only(backbone, metric)
    else:
        strategy, ratio = row.selection().strategy, row.masked_frames / row.frames
        method = sgtm.sgtm(backbone, strategy=strategy, ratio=ratio, weight=row.weight, matcher=metric)
    return Resolved(run=sgtm.run(recipe, method))


PAPER = Paper(
    name="sgtm",
    title="Saliency-Guided Fine-Grained Temporal Mask Learning for Few-Shot Action Recognition",
    source="2024",
    resolve=resolve,
)
