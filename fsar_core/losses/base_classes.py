"""Classification of all clips of an episode into the base classes, beside matching.

HyRSM (CVPR 2022) classifies every frame; the semantic head of I2ST's presets classifies the mean of what a clip has.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Trace, Wiring
from fsar_core.losses.base import LossBase, LossModule
from fsar_core.precision import wide


class BaseClasses(LossModule):
    """A linear layer from features to scores of the base classes: weights of training only."""

    class Config(LossBase):
        kind: Literal["base_classes"] = "base_classes"
        weight: float = Field(default=1.0, ge=0)
        """HyRSM: 0.6 on SSv2-Full, 0.4 on Kinetics, 0.15 elsewhere."""
        reads: str
        over: Literal["frames", "mean"] = "frames"
        """``frames``: every vector of a clip is classified (HyRSM). ``mean``: the mean of them all is."""

        def check(self, wiring: Wiring) -> None:
            """Raises ValueError if it reads a map."""
            level = wiring.shapes[self.reads].level
            if level == "map":
                raise ValueError(
                    f"base_classes needs frame or global_local features, but {self.reads!r} gives a {level}; "
                    "let it read a step behind a spatial_pool"
                )

        def build(self, wiring: Wiring, classes: int) -> "BaseClasses":
            return BaseClasses(self, wiring.shapes[self.reads].dim, classes)

    def __init__(self, config: Config, dim: int, classes: int) -> None:
        super().__init__()
        self.config = config
        self.classifier = nn.Linear(dim, classes)

    def forward(self, trace: Trace) -> Tensor:
        """Mean cross-entropy over what is classified, a scalar in float32 or wider."""
        outputs = trace.outputs[self.config.reads]
        if self.config.over == "mean":
            outputs = outputs.mean(1, keepdim=True)
        scores = self.classifier(outputs)  # (V, L, C)
        labels = trace.clips.class_ids.unsqueeze(1).expand(scores.shape[:2])
        return F.cross_entropy(wide(scores).flatten(0, 1), labels.flatten())
