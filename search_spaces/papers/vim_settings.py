"""The settings of VIM's tables: which there are, and which go together."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from fsar_core.methods.vim_parts import DENSE_FRAMES
from search_spaces.papers.settings import RowSettings

Metric = Literal["framewise_cosine", "dtw", "exhaustive_pairs_triplets", "bi_mhm"]
ScanNet = Literal[
    "ShuffleNetV2-0.5x", "ShuffleNetV2-1.5x", "ShuffleNetV1-2.0x", "MobileNetV2-1.0x", "MobileNetV1-0.75x"
]

_METRIC: dict[str, Metric] = {
    "ProtoNet": "framewise_cosine",
    "VIM": "framewise_cosine",
    "VIM+OTAM": "dtw",
    "VIM+TRX": "exhaustive_pairs_triplets",
    "VIM+HyRSM": "bi_mhm",
}


class OtherSettings(RowSettings):
    """Of the methods that the paper trains again beside its own."""

    method: Literal["OTAM", "TRX", "HyRSM"]


class Settings(RowSettings):
    """Of VIM, its parts and its baseline; the defaults are the full method.

    None: there is no such part; of ``mu_intra``: the paper does not say.
    """

    method: Literal["ProtoNet", "VIM", "VIM+OTAM", "VIM+TRX", "VIM+HyRSM"] = "VIM"
    dense_frames: int | None = Field(default=DENSE_FRAMES, ge=1)
    """M, from which a sampler chooses."""
    frame_size: int = Field(default=224, ge=1)
    """Pixels per side where the recipe has its crop at 224."""
    frame_sampler: Literal["mgsampler"] | None = None
    """Another one than VIM's."""
    temporal_selector: bool = True
    spatial_amplifier: bool = True
    spatial_sampling: Literal["amplify", "crop", "none"] | None = "amplify"
    task_adaptive: bool = True
    scan_size: int | None = Field(default=64, ge=1)
    scan_network: ScanNet | None = "ShuffleNetV2-0.5x"
    temporal_coordination: bool = True
    tc_parts: Literal["transform", "rearrange", "transform+rearrange"] | None = "transform+rearrange"
    spatial_coordination: bool = True
    sc_implementation: Literal["mask", "enumerate", "affine"] | None = "mask"
    alignment_order: Literal["temporal_first", "spatial_first"] | None = "temporal_first"
    alignment_method: Literal["own", "soft_dtw", "drop_dtw", "vava"] | None = "own"
    match_metric: Metric = "framewise_cosine"
    set_attention: bool = False
    """HyRSM's."""
    exhaustive: Literal["temporal", "spatial", "temporal+spatial"] | None = None
    loss_intra: bool = True
    mu_intra: float | None = Field(default=0.5, ge=0)
    loss_inter: bool = True
    mu_inter: float = Field(default=1, ge=0)
    eval_remove: Literal["sampler", "alignment"] | None = None

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        faults = [*self._method_faults(), *self._sampler_faults(), *self._alignment_faults(), *self._loss_faults()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def has_sampler(self) -> bool:
        """VIM's own."""
        return self.temporal_selector or self.spatial_sampling in ("amplify", "crop")

    def has_alignment(self) -> bool:
        """VIM's own."""
        return self.temporal_coordination or self.spatial_coordination

    def _method_faults(self) -> Iterator[str]:
        if self.match_metric != _METRIC[self.method]:
            yield f"method {self.method!r} goes with match_metric {_METRIC[self.method]!r}, got {self.match_metric!r}"
        if self.method == "ProtoNet" and (self.has_sampler() or self.has_alignment()):
            yield "method 'ProtoNet' has neither VIM's sampler nor its alignment, but one of them is on"
        if self.method.startswith("VIM+") and not self.has_alignment():
            yield f"method {self.method!r} compares aligned features, but temporal and spatial coordination are off"
        if self.set_attention != (self.method == "VIM+HyRSM"):
            yield f"set_attention goes with method 'VIM+HyRSM', and only there; got {self.set_attention}"
        if self.exhaustive is not None and self.alignment_method is not None:
            yield f"exhaustive replaces every alignment, but alignment_method is {self.alignment_method!r}"

    def _sampler_faults(self) -> Iterator[str]:
        if self.spatial_amplifier != (self.spatial_sampling == "amplify"):
            yield (
                f"spatial_amplifier and spatial_sampling 'amplify' say the same, but they are "
                f"{self.spatial_amplifier} and {self.spatial_sampling!r}"
            )
        own = self.has_sampler()
        for name in ("spatial_sampling", "scan_size", "scan_network"):
            if (getattr(self, name) is not None) != own:
                yield f"{name} goes with VIM's sampler, which is {_on(own)}; got {getattr(self, name)!r}"
        if self.task_adaptive and not own:
            yield f"task_adaptive goes with VIM's sampler, which is {_on(own)}"
        if own and self.frame_sampler is not None:
            yield f"frame_sampler {self.frame_sampler!r} stands in the place of VIM's, which is on"
        if (self.dense_frames is not None) != (own or self.frame_sampler is not None):
            yield f"dense_frames goes with a sampler; got {self.dense_frames!r}"
        if own and not self.temporal_selector and self.dense_frames not in (None, DENSE_FRAMES):
            yield (
                f"dense_frames {self.dense_frames} changes nothing without temporal_selector; leave it at the usual "
                f"{DENSE_FRAMES}"
            )

    def _alignment_faults(self) -> Iterator[str]:
        for name, part in (("temporal_coordination", "tc_parts"), ("spatial_coordination", "sc_implementation")):
            if getattr(self, name) != (getattr(self, part) is not None):
                yield f"{part} goes with {name}, which is {_on(getattr(self, name))}; got {getattr(self, part)!r}"
        both = self.temporal_coordination and self.spatial_coordination
        if (self.alignment_order is not None) != both:
            yield f"alignment_order goes with temporal and spatial coordination, both; got {self.alignment_order!r}"
        if (self.alignment_method == "own") != self.has_alignment():
            yield (
                f"alignment_method 'own' goes with temporal or spatial coordination; they are "
                f"{_on(self.has_alignment())}, and it is {self.alignment_method!r}"
            )

    def _loss_faults(self) -> Iterator[str]:
        for loss, weight, there in (
            ("loss_intra", "mu_intra", self.has_sampler()),
            ("loss_inter", "mu_inter", self.has_alignment()),
        ):
            wanted = getattr(self, loss)
            if wanted != (getattr(self, weight) != 0):
                yield f"{weight} is 0 where {loss} is off, and only there; got {getattr(self, weight)} with {wanted}"
            if wanted and not there:
                yield f"{loss} needs VIM's {'sampler' if loss == 'loss_intra' else 'alignment'}, which is off"
        removed = {"sampler": self.has_sampler(), "alignment": self.has_alignment()}
        if self.eval_remove is not None and not removed[self.eval_remove]:
            yield f"eval_remove takes away VIM's {self.eval_remove}, which is off"


def _on(there: bool) -> str:
    return "on" if there else "off"
