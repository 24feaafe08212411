"""Alignment by optimal transport with a virtual frame. Liu et al. (VAVA), CVPR 2022, https://arxiv.org/abs/2111.09301
(VIM, table 15).

As in the public code, https://github.com/weizheliu/VAVA, without the contrastive terms of its training loss.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.blocks import in_blocks
from fsar_core.matchers.cosine import frame_cosine
from fsar_core.matchers.diagonals import of_each_pair
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule
from fsar_core.progress import FollowsTraining

_WIDTH = 2.0
"""Standard deviation of the Gaussian priors, in units of the grid."""
_VIRTUAL = 15.0
"""Distance at which a match of a real with the virtual frame stands, over the sum of both lengths."""
_LEAST, _MOST = math.log(1e-15), math.log(1e20)
"""Of a kernel entry, in logarithms."""


class Vava(FollowsTraining):
    """The cost of moving the frames of one video to those of the other, with priors on where. No parameters.

    One prior prefers equal relative times; the other, which gains weight with the training step, the nearest frames.
    """

    class Config(MatcherBase):
        kind: Literal["vava"] = "vava"
        prior_weight: float = Field(default=1.0, gt=0)
        """lambda1, scaled by the sum of both lengths."""
        entropy_weight: float = Field(default=0.1, gt=0)
        """lambda2, scaled by a quarter of the product of both lengths."""
        virtual_cost: float = Field(default=0.5, ge=0)
        """Of a match with the virtual frame, in squared distances of normalised frames."""
        iterations: int = Field(default=20, ge=1)
        """Of Sinkhorn's algorithm."""
        per_entry: bool = False
        """Divides the cost by the number of entries, as the public code does; then it is far below other distances."""
        shots: Shots = "features"
        """VIM has mean prototypes."""

        def build(self, shape: Shape) -> "Vava":
            return Vava(self)

    step: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def at_step(self, step: int, steps: int) -> None:
        self.step.fill_(step)

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self.config.shots, shot)

    def forward(self, features: Features) -> Match:
        """Logits lie in [-max(4, virtual_cost), 0], up to rounding."""
        return Match(logits=class_scores(self.pair_scores, features, self.config.shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), minus transport costs."""
        costs = in_blocks(self._scores, query, support)
        return costs / ((query.shape[-2] + 1) * (support.shape[-2] + 1)) if self.config.per_entry else costs

    def _scores(self, query: Tensor, support: Tensor) -> Tensor:
        return -of_each_pair(self._cost, 2 - 2 * frame_cosine(query, support, eps=0).transpose(-3, -2))

    def _cost(self, distances: Tensor) -> Tensor:
        return transport_cost(*self.kernel(distances), self.config.iterations)

    def kernel(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """(P, n, m) squared distances -> (P, n+1, m+1) logarithms of the kernel, and the bordered distances."""
        config = self.config
        rows, columns = distances.shape[1:]
        bordered = F.pad(distances, (1, 0, 1, 0), value=config.virtual_cost)
        phi = (0.999 ** (self.step + 1).double().sqrt().floor()).clamp(0.001, 0.999).to(distances)
        diagonal, nearest = _gaps(distances.detach())
        unit = math.sqrt((rows + 1) ** -2 + (columns + 1) ** -2)

        def log_gauss(gap: Tensor) -> Tensor:
            return -(gap / unit).square() / (2 * _WIDTH**2) - math.log(_WIDTH * math.sqrt(2 * math.pi))

        prior = torch.logaddexp(phi.log() + log_gauss(diagonal), (1 - phi).log() + log_gauss(nearest))
        near = config.prior_weight * (rows + columns)
        closeness = phi * near / (diagonal.square() + 1) + (1 - phi) * near / (nearest.square() + 1)
        logs = prior + (closeness - bordered) / (config.entropy_weight * rows * columns / 4)
        return logs.clamp(_LEAST, _MOST), bordered


def _gaps(distances: Tensor) -> tuple[Tensor, Tensor]:
    """How far each entry of the bordered grid is from equal relative times, and from the row's nearest frame."""
    rows, columns = distances.shape[1] + 1, distances.shape[2] + 1
    i = torch.arange(1, rows + 1, device=distances.device).to(distances).unsqueeze(-1)
    j = torch.arange(1, columns + 1, device=distances.device).to(distances)
    # As published: the nearest frame's number, from 0, plus 1, which is one short of its place behind the border.
    place = F.pad(distances.argmin(2).to(distances), (1, 0)) + 1
    virtual = (i == 1) != (j == 1)
    far = _VIRTUAL / (rows + columns)
    diagonal = (i / rows - j / columns).abs().masked_fill(virtual, far)
    nearest = ((j - place.unsqueeze(-1)).abs() / columns).masked_fill(virtual, far)
    return diagonal.expand_as(nearest), nearest


def transport_cost(log_kernel: Tensor, costs: Tensor, iterations: int) -> Tensor:
    """(P, n, m) each -> (P,): the cost of the plan that Sinkhorn's rounds give, with uniform marginals.

    In logarithms: the kernel spans 35 orders of magnitude.
    """
    rows, columns = costs.shape[1:]
    v = torch.zeros_like(costs[:, :1])
    u = torch.full_like(costs[:, :, :1], -math.log(rows))
    for _ in range(iterations + 1):
        v = -math.log(columns) - torch.logsumexp(log_kernel + u, dim=1, keepdim=True)
        u = -math.log(rows) - torch.logsumexp(log_kernel + v, dim=2, keepdim=True)
    return ((log_kernel + u + v).exp() * costs).sum((1, 2))
