"""Cross-entropy of time-averaged class scores: the first stage of SGTM, and pretraining of a backbone."""

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Trace, Wiring
from fsar_core.losses.base import LossBase, LossModule
from fsar_core.stages.class_scores import ClassScores


class Classification(LossModule):
    """Labels are the base classes. No parameters."""

    class Config(LossBase):
        """The paper trains Phi_cls "with video-level labels" and says no more."""

        kind: Literal["classification"] = "classification"
        weight: float = Field(default=1.0, ge=0)
        reads: str = "scores"
        pool: Literal["mean", "topk_mean"] = "mean"
        """Over frames: their mean, or per class the mean of the highest ``topk`` (CoLA)."""
        topk: int = Field(default=2, ge=1)

        def check(self, wiring: Wiring) -> None:
            """Raises ValueError if it reads no class scores, or more of the best frames than there are."""
            if not isinstance(wiring.stages.get(self.reads), ClassScores.Config):
                raise ValueError(f"classification needs a class_scores step, but {self.reads!r} is another kind")
            frames = wiring.shapes[self.reads].frames
            if self.pool == "topk_mean" and self.topk > frames:
                raise ValueError(f"classification.topk must be at most the {frames} frames, got {self.topk}")

        def build(self, wiring: Wiring, classes: int) -> "Classification":
            return Classification(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def logits(self, scores: Tensor) -> Tensor:
        """(V, T, C) scores per frame to (V, C) per video."""
        if self.config.pool == "topk_mean":
            return scores.topk(self.config.topk, dim=1).values.mean(1)
        return scores.mean(1)

    def forward(self, trace: Trace) -> Tensor:
        """Mean cross-entropy over the videos, a scalar."""
        return F.cross_entropy(self.logits(trace.outputs[self.config.reads]).float(), trace.clips.class_ids)
