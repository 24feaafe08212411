"""I2ST's tables: how the settings of a printed number become a run."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import model_validator

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.matchers import BiMhm, GlobalLocal, MatcherConfig, Otam
from fsar_core.method import MethodConfig
from fsar_core.methods import LEFT_OUT, hyrsm, i2st, trx
from fsar_core.presets import Recipe
from search_spaces.papers.paper import Knobs, Paper, RefusedError, Resolved
from search_spaces.papers.settings import RowSettings, read
from search_spaces.variants import unknown

_METHODS = ("I2ST", "Bi-MHM", "OTAM", "TRX", "HyRSM")

_POOLED: dict[str, MatcherConfig] = {
    "bi_mhm": BiMhm.Config(),
    "otam": Otam.Config(shots="features", cosine_eps=0.0),
}
"""Metrics of rows without attention, on averaged shots."""


class _Settings(RowSettings):
    """The defaults are those of the full method."""

    method: Literal["I2ST"]
    s_branch: bool = True
    t_branch: bool = True
    instance_perception: bool = True
    fusion: Literal["self_attention", "cross_attention"] | None = "self_attention"
    """Of image and instances in the branches."""
    global_prototype: bool = True
    local_metric: Literal["bi_mhm", "otam"] = "bi_mhm"

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        branches = self.s_branch or self.t_branch
        if (self.fusion is not None) != (branches and self.instance_perception):
            yield f"fusion goes with instance_perception and a branch, and only with them; got {self.fusion!r}"
        if self.global_prototype and not branches:
            yield "global_prototype needs s_branch or t_branch, which are off"
        if branches and not self.instance_perception and (not self.global_prototype or self.local_metric != "bi_mhm"):
            yield "branches without instance_perception are built with global_prototype and local_metric bi_mhm alone"

    def built(self, backbone: BackboneConfig) -> MethodConfig:
        if self.fusion is not None:
            return i2st.i2st(
                backbone,
                spatial=self.s_branch,
                temporal=self.t_branch,
                fusion="self" if self.fusion == "self_attention" else "cross",
                matcher=GlobalLocal.Config(
                    mode="global_local" if self.global_prototype else "local",
                    metric="bimhm" if self.local_metric == "bi_mhm" else "otam",
                ),
            )
        if self.s_branch or self.t_branch:
            return i2st.no_instances(backbone, spatial=self.s_branch, temporal=self.t_branch)
        pooled = i2st.gap_sum if self.instance_perception else i2st.baseline
        return pooled(backbone, matcher=_POOLED[self.local_metric])


class _BiMhmSettings(RowSettings):
    """Of the baseline, which has none of the parts."""

    method: Literal["Bi-MHM"]
    s_branch: Literal[False] = False
    t_branch: Literal[False] = False
    instance_perception: Literal[False] = False
    fusion: None = None
    global_prototype: Literal[False] = False
    local_metric: Literal["bi_mhm"] = "bi_mhm"


class _OtamSettings(RowSettings):
    method: Literal["OTAM"]
    instance_perception: bool = False


class _OtherSettings(RowSettings):
    method: Literal["TRX", "HyRSM"]


def resolve(knobs: Knobs, recipe: Recipe) -> Resolved:
    """See ``Paper``. Bi-MHM and OTAM, as baselines, are trained on the same clips as I2ST; TRX and HyRSM, of which only
    costs are printed, as everywhere else."""
    return Resolved(run=_run(knobs, recipe))


def _run(knobs: Knobs, recipe: Recipe) -> RunConfig:
    method = knobs.get("method")
    if method == "MoLo":
        raise RefusedError(LEFT_OUT["molo"])
    if method in ("TRX", "HyRSM"):
        other = read(_OtherSettings, knobs)
        recipe = other.changed(recipe)
        if other.method == "TRX":
            return trx.run(recipe, trx.trx(recipe.backbone))
        return hyrsm.run(recipe, hyrsm.hyrsm(recipe.backbone))
    if method == "Bi-MHM":
        recipe = read(_BiMhmSettings, knobs).changed(recipe)
        return i2st.run(recipe, i2st.baseline(recipe.backbone))
    if method == "OTAM":
        otam = read(_OtamSettings, knobs)
        recipe = otam.changed(recipe)
        return i2st.run(recipe, (i2st.otam_ipm if otam.instance_perception else i2st.otam)(recipe.backbone))
    if method == "I2ST":
        row = read(_Settings, knobs)
        recipe = row.changed(recipe)
        return i2st.run(recipe, row.built(recipe.backbone))
    raise RefusedError(unknown("method in this paper's tables", str(method), _METHODS))


PAPER = Paper(
    name="i2st",
    title="Joint Image-Instance Spatial-Temporal Attention for Few-shot Action Recognition",
    source="CVIU 2025, https://arxiv.org/abs/2503.14430",
    resolve=resolve,
)
