"""Ordered top-k, hard, and as the mean over perturbed scores with a gradient.

Cordonnier et al., CVPR 2021, https://arxiv.org/abs/2104.03059, as in R00Kie-Liu/Sampler (VIM, equations 4 to 7), but
for what is kept for the gradient: positions and noise, never one-hot arrays.
"""

from typing import Any, Literal

import torch
from torch import Tensor

Noise = Literal["normal", "gumbel"]


def hard_topk(scores: Tensor, keep: int) -> Tensor:
    """(V, M) -> (V, keep) int64, increasing. Of equal scores the earlier ones are kept."""
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    return order[..., :keep].sort(dim=-1).values


def draw_noise(scores: Tensor, draws: int, noise: Noise) -> Tensor:
    """(draws, V, M), standard, from torch's global generator."""
    if noise == "normal":
        return torch.randn((draws, *scores.shape), dtype=scores.dtype, device=scores.device)
    return -torch.empty((draws, *scores.shape), dtype=scores.dtype, device=scores.device).exponential_().log()


def perturbed_topk(
    scores: Tensor,
    noise: Tensor,
    *,
    keep: int,
    sigma: float,
    kind: Noise = "normal",
    scale: float = 1.0,
    baseline: bool = False,
) -> Tensor:
    """(V, M) scores, (n, V, M) noise -> (V, keep, M): the mean over draws of the ordered top-k as one-hot rows.

    The gradient is that of the expectation, estimated from the same draws, times ``scale``. ``baseline`` subtracts the
    mean over draws of what the noise is weighted with: less variance, and a factor (n - 1) / n in the expectation.
    """
    return _PerturbedTopK.apply(scores, noise, keep, sigma, kind, scale, baseline)


class _PerturbedTopK(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, noise: Tensor, keep: int, sigma: float, kind: Noise, scale: float, baseline: bool
    ) -> Tensor:
        draws, videos, total = noise.shape
        kept = (scores + sigma * noise).topk(keep, dim=-1, sorted=False).indices.sort(dim=-1).values
        positions = kept.permute(1, 2, 0)  # (V, keep, n)
        counts = scores.new_zeros(videos, keep, total)
        counts = counts.scatter_add(2, positions, counts.new_ones(1, 1, 1).expand_as(positions))
        ctx.save_for_backward(positions.to(torch.int16), noise)
        ctx.settings = (kind, scale / (draws * sigma), baseline)
        return counts / draws

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        positions, noise = ctx.saved_tensors
        kind, factor, baseline = ctx.settings
        weights = upstream[0].gather(2, positions.long()).sum(1)  # (V, n)
        if baseline:
            weights = weights - weights.mean(-1, keepdim=True)
        slope = noise if kind == "normal" else 1 - torch.exp(-noise)  # minus the derivative of the log density
        gradient = factor * torch.einsum("vn,nvm->vm", weights, slope)
        return gradient, None, None, None, None, None, None
