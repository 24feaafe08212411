"""VIM's intra-video loss: the frames kept should say of the class what all frames say. VIM, section 3.5.2, equation 28.

The paper gives a target, a difference of two informations, and no formula to compute it. The value here is that of a
function in R00Kie-Liu/TA2N which its own training never calls.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Episode, Trace, Wiring
from fsar_core.frame_samplers.video_sampler import VideoSampled, VideoSampler
from fsar_core.losses.base import LossBase, LossModule
from fsar_core.matchers.cosine import cosine
from fsar_core.precision import full_precision, wide


class IntraVideo(LossModule):
    """A ProtoNet on scanned features, once of all frames, once of those kept. No parameters."""

    class Config(LossBase):
        kind: Literal["intra_video"] = "intra_video"
        weight: float = Field(default=0.5, ge=0)
        """mu1."""
        reads: str = "backbone"
        """Any step: what it compares comes from the frame sampler."""
        form: Literal["kl", "ce_gap"] = "kl"
        """``kl``: divergence of the classes seen in the kept frames from those seen in all. ``ce_gap``: the distance of
        the two cross-entropies. The predictions from all frames get no gradient; in published code only they do."""
        features: Literal["selected", "rescan"] | None = None
        """``selected``: the scanned features mixed as the frames are. ``rescan``: the frames that the backbone sees,
        scanned again, which alone reaches an amplifier. None: ``selected`` where there is a temporal selector."""

        def check(self, wiring: Wiring) -> None:
            """Raises ValueError without a video_sampler, without episodes, or if what it compares would be the same."""
            sampler = wiring.frame_sampler
            if not isinstance(sampler, VideoSampler.Config):
                raise ValueError("intra_video needs the frame sampler 'video_sampler'; remove the loss")
            if not wiring.heads:
                raise ValueError("intra_video needs episodes, but the method has no head")
            if self.features == "selected" and sampler.temporal is None:
                raise ValueError("intra_video.features 'selected' needs a temporal selector; set 'rescan'")

        def needs_frames(self) -> bool:
            return True

        def build(self, wiring: Wiring, classes: int) -> "IntraVideo":
            sampler = wiring.frame_sampler
            assert isinstance(sampler, VideoSampler.Config)
            selected = self.features == "selected" or (self.features is None and sampler.temporal is not None)
            return IntraVideo(self, selected=selected)

    def __init__(self, config: Config, *, selected: bool) -> None:
        super().__init__()
        self.config, self.selected = config, selected

    def forward(self, trace: Trace) -> Tensor:
        """A scalar, mean over queries."""
        sampled, episode = trace.sampled, trace.clips
        assert isinstance(sampled, VideoSampled)
        assert isinstance(episode, Episode)
        every = wide(sampled.features)
        again = None if self.selected else sampled.rescan()
        with full_precision(every.device):
            kept = wide(sampled.indicator) @ every if again is None else wide(again)
            dense, few = (_logits(own, episode.way, episode.shot, kept.shape[1]) for own in (every, kept))
            return intra_loss(dense, few, episode.query_labels, self.config.form)


def intra_loss(dense: Tensor, sampled: Tensor, labels: Tensor, form: Literal["kl", "ce_gap"]) -> Tensor:
    """(Q, N) logits of all and of the kept frames. Nothing flows into ``dense``."""
    dense = dense.detach()
    if form == "ce_gap":
        return (F.cross_entropy(sampled, labels) - F.cross_entropy(dense, labels)).abs()
    return F.kl_div(sampled.log_softmax(-1), dense.softmax(-1), reduction="batchmean")


def _logits(features: Tensor, way: int, shot: int, scale: int) -> Tensor:
    """(V, frames, c) -> (Q, N): ``scale`` times the cosine of time-averaged features with their class means."""
    videos = features.mean(1)
    prototypes = videos[: way * shot].unflatten(0, (way, shot)).mean(1)
    return scale * cosine(videos[way * shot :], prototypes, 0.0)
