"""VIM's temporal selector: a score for every decoded frame, and each video's T best in their order. Section 3.3.2."""

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fsar_core.frame_samplers.perturbed_topk import Noise, draw_noise, hard_topk, perturbed_topk
from fsar_core.frozen import Frozen
from fsar_core.progress import FollowsTraining


class TemporalSelector(FollowsTraining):
    """In training a soft choice, in a test a hard one."""

    class Config(Frozen):
        hidden: int = Field(default=512, ge=1)
        """d."""
        draws: int = Field(default=500, ge=1)
        """n, perturbations of the scores per training pass."""
        noise: Noise = "normal"
        """``gumbel`` is an option of the published sampler."""
        sigma: float = Field(default=0.1, gt=0)
        """Standard deviation of the noise at the start. The published sampler starts at 0.05."""
        sigma_floor: float = Field(default=0.01, gt=0)
        """Published code; below it the gradient grows as 1 / sigma. At most ``sigma``."""
        sigma_schedule: Literal["steps", "linear"] = "steps"
        """The paper says both; published code has ``steps``. ``linear`` goes to zero at the last step, but for the
        floor."""
        sigma_factor: float = Field(default=0.8, gt=0, le=1)
        sigma_every: float = Field(default=2 / 15, gt=0)
        """Share of the training steps after which sigma is multiplied with the factor; 2000 of 15000 in the paper."""
        grad_scale: Literal["T", "1"] = "T"
        """The published sampler differentiates T copies of the scores, so that its gradient is ``T`` times that of the
        expected choice, which is ``1``."""
        baseline: bool = False
        """Subtracts the mean over draws in the gradient: a little less noise. Our addition."""
        normalise: bool = True
        """Scores of a video to 0..1 before the choice. Published code; the paper does not say."""

        @model_validator(mode="after")
        def _starts_above_the_floor(self) -> Self:
            if self.sigma < self.sigma_floor:
                raise ValueError(
                    f"sigma must be at least sigma_floor {self.sigma_floor}, got {self.sigma}; lower the floor too"
                )
            return self

        def sigma_at(self, step: int, steps: int) -> float:
            """For optimiser step ``step`` of ``steps``."""
            if self.sigma_schedule == "linear":
                return max(self.sigma_floor, self.sigma * (1 - step / steps))
            times = math.floor(step / (self.sigma_every * steps) + 1e-9)
            return max(self.sigma_floor, self.sigma * self.sigma_factor**times)

        def build(self, *, width: int, frames: int, keep: int, generated: bool) -> "TemporalSelector":
            """``width``: c of the scanned features, ``frames``: M. ``generated``: the last layer is an input."""
            return TemporalSelector(self, width, frames, keep, generated=generated)

    positions: Tensor

    def __init__(self, config: Config, width: int, frames: int, keep: int, *, generated: bool) -> None:
        super().__init__()
        self.config, self.keep, self.sigma = config, keep, config.sigma
        self.hidden = nn.Linear(2 * width, config.hidden)
        # Without a bias: the choice does not depend on it.
        self.last = None if generated else nn.Linear(config.hidden, 1, bias=False)
        self.register_buffer("positions", position_table(frames, 2 * width), persistent=False)

    def at_step(self, step: int, steps: int) -> None:
        self.sigma = self.config.sigma_at(step, steps)

    def scores(self, features: Tensor, weight: Tensor | None) -> Tensor:
        """(V, M, c), and (d,) where the last layer is generated -> (V, M)."""
        whole = features.mean(1, keepdim=True).expand_as(features)
        hidden = self.hidden(torch.cat((features, whole), dim=-1) + self.positions).relu()
        if self.last is not None:
            weight = self.last.weight[0]
        assert weight is not None
        scores = hidden @ weight
        return min_max(scores) if self.config.normalise else scores

    def forward(
        self, features: Tensor, weight: Tensor | None = None, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The indicator (V, T, M), rows sum to 1, and in a test the positions (V, T) int64, increasing.

        ``noise``: (n, V, M), drawn in training where it is not given.
        """
        scores = self.scores(features, weight)
        if not self.training:
            indices = hard_topk(scores, self.keep)
            return nn.functional.one_hot(indices, scores.shape[1]).to(scores.dtype), indices
        config = self.config
        if noise is None:
            noise = draw_noise(scores, config.draws, config.noise)
        scale = float(self.keep) if config.grad_scale == "T" else 1.0
        soft = perturbed_topk(
            scores,
            noise,
            keep=self.keep,
            sigma=self.sigma,
            kind=config.noise,
            scale=scale,
            baseline=config.baseline,
        )
        return soft, None


def min_max(values: Tensor) -> Tensor:
    """To 0..1 over the last dimension; all zero where all are equal."""
    low = values.amin(-1, keepdim=True)
    return (values - low) / (values.amax(-1, keepdim=True) - low + 1e-4)


def position_table(frames: int, width: int) -> Tensor:
    """(frames, width) float32, sines on even channels, cosines on odd ones. Vaswani et al., 2017, section 3.5."""
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
    angles = torch.arange(frames, dtype=torch.float64)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width].float()
