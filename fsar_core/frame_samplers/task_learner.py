"""VIM's task-adaptive learner: the supports of an episode decide what its sampler looks for. Section 3.3.4."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.frozen import Frozen
from fsar_core.seeds import generator


class TaskLearner(nn.Module):
    """From the supports to a distribution of task vectors, and from a task vector to weights of unit length."""

    class Config(Frozen):
        encoder: Literal["mlp", "linear"] = "mlp"
        """Layers of E: two in the paper, one in the published sampler."""
        dim: int = Field(default=128, ge=1)
        """z, of the task vector; 64 in the published sampler."""
        sample_in_test: bool = False
        """Published code draws the task vector in a test too. Here one draw, which all episodes share, so that a test
        stays deterministic; without it the mean is taken."""

        def build(self, *, width: int, temporal: int | None, spatial: int | None) -> "TaskLearner":
            """``width``: c. Lengths of the generated weights w2 and ws, None for one that nobody uses."""
            return TaskLearner(self, width, temporal, spatial)

    test_draw: Tensor

    def __init__(self, config: Config, width: int, temporal: int | None, spatial: int | None) -> None:
        super().__init__()
        self.config = config
        z = config.dim
        mlp = (nn.Linear(width, z), nn.ReLU(), nn.Linear(z, 2 * z))
        self.encoder = nn.Sequential(*mlp) if config.encoder == "mlp" else nn.Linear(width, 2 * z)
        self.temporal = None if temporal is None else nn.Linear(z, temporal)
        self.spatial = None if spatial is None else nn.Linear(z, spatial)
        if self.spatial is not None:
            nn.init.ones_(self.spatial.bias)  # saliency starts near the mean over channels
        drawn = generator(0, "task vector in a test").standard_normal(z)
        self.register_buffer("test_draw", torch.from_numpy(drawn).float(), persistent=False)

    def statistics(self, supports: Tensor) -> tuple[Tensor, Tensor]:
        """(N*K, c) global features of the supports -> mean (z,) and standard deviation (z,)."""
        mean, log_variance = self.encoder(supports).mean(0).chunk(2)
        return mean, (log_variance / 2).exp()

    def forward(self, supports: Tensor, draw: Tensor | None = None) -> tuple[Tensor | None, Tensor | None]:
        """w2 (d,) and ws (c_s,), each None where it was built without. ``draw``: (z,) standard normal; by default
        a fresh one in training, and none in a test."""
        mean, deviation = self.statistics(supports)
        if draw is None and self.training:
            draw = torch.randn_like(mean)
        elif draw is None and self.config.sample_in_test:
            draw = self.test_draw
        vector = mean if draw is None else mean + deviation * draw
        made = (
            None if layer is None else F.normalize(layer(vector), dim=-1) for layer in (self.temporal, self.spatial)
        )
        temporal, spatial = made
        return temporal, spatial
