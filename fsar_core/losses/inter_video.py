"""VIM's inter-video information loss (section 3.5), from functions of TA2N's code that its training never calls.

The paper gives an aim, maximal I(Y; F) - I(F; F_raw) for aligned query features F, and no formula.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Episode, Trace, Wiring
from fsar_core.losses.base import LossBase, LossModule
from fsar_core.matchers.pair_alignment import AlignedMatch, PairAlignment
from fsar_core.precision import wide


class InterVideo(LossModule):
    """Cross-entropy of the logits, averaged over queries, with the divergence of aligned from raw features. No weights.

    The divergence of a pair is the sum over frames of KL(softmax of the aligned query || softmax of the raw query),
    both over channels and in nats; its mean is over all pairs.
    """

    class Config(LossBase):
        kind: Literal["inter_video"] = "inter_video"
        weight: float = Field(default=1.0, ge=0)
        """mu2."""
        reads: str = "features"
        """The map before the temporal transformation."""
        head: int = Field(default=0, ge=0)
        """Which head aligns, counted from 0."""
        sign: Literal[1, 0, -1] = 1
        """1: the divergence counts as an information and is added; it keeps aligned features near the raw ones.
        -1: it counts as the opposite; each frame should differ by ``margin``. 0: cross-entropy alone."""
        margin: float = Field(default=1.0, gt=0)
        """Of sign -1, in nats per frame: beyond it, differing more gains nothing."""
        temperature: float = Field(default=1.0, gt=0)
        """Of both softmaxes."""

        def check(self, wiring: Wiring) -> None:
            """Raises ValueError unless it reads a map, and a head that aligns."""
            heads = wiring.heads
            if self.head >= len(heads) or not isinstance(heads[self.head], PairAlignment.Config):
                kinds = [getattr(head, "kind", "") for head in heads]
                raise ValueError(f"inter_video needs a pair_alignment as head {self.head}, but the heads are {kinds}")
            shape = wiring.shapes[self.reads]
            if shape.level != "map":
                raise ValueError(f"inter_video needs a map, but {self.reads!r} gives {shape.level} features")

        def build(self, wiring: Wiring, classes: int) -> "InterVideo":
            return InterVideo(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, trace: Trace) -> Tensor:
        """Raises ValueError for clips without an episode."""
        clips, config = trace.clips, self.config
        if not isinstance(clips, Episode):
            raise ValueError("inter_video compares pairs of an episode, but got labelled clips without one")
        match = trace.matches[config.head]
        assert isinstance(match, AlignedMatch)
        value = F.cross_entropy(wide(match.logits), clips.query_labels)
        if config.sign == 0:
            return value
        raw = wide(trace.outputs[config.reads][clips.way * clips.shot :]).mean((-2, -1))  # (Q, T, D)
        divergence = frame_divergence(match.query_aligned, raw[:, None, None], config.temperature)
        term = divergence if config.sign == 1 else (config.margin - divergence).relu()
        return value + term.sum(-1).mean()


def frame_divergence(aligned: Tensor, raw: Tensor, temperature: float) -> Tensor:
    """(..., T, D) aligned and raw features -> (..., T), >= 0. As published, no gradient passes into the raw ones."""
    ours = (wide(aligned) / temperature).log_softmax(-1)
    theirs = (wide(raw).detach() / temperature).log_softmax(-1)
    return (ours.exp() * (ours - theirs)).sum(-1)
