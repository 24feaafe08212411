"""IPD, from instance embeddings back to the mask of the instances: I2ST, section 3.3, equation 2."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fsar_core.backbones.recompute import still_statistics


class MaskDecoder(nn.Module):
    """conv 1x1, then blocks of {bilinear upsampling, conv 3x3}, batch norm and ReLU behind each, then conv 1x1."""

    def __init__(self, dim: int, mid: int, channels: Sequence[int], ups: Sequence[int]) -> None:
        """``ups``: the factor of each block; 1 leaves its upsampling out and its weights as they are."""
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(dim, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.ReLU(inplace=True)]
        width = mid
        for out, factor in zip(channels, ups, strict=True):
            layers += [
                nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False) if factor > 1 else nn.Identity(),
                nn.Conv2d(width, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
            width = out
        layers.append(nn.Conv2d(width, 1, 1))
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, features: Tensor, *, recompute: bool = False) -> Tensor:
        """(F, D, h, w) frames to (F, H, W), linear. ``recompute`` keeps no activations for the backward pass."""
        frames = features.contiguous(memory_format=torch.channels_last)
        if recompute and torch.is_grad_enabled():
            kept = checkpoint(self.layers, frames, use_reentrant=False, context_fn=self._contexts)
            return kept.squeeze(1)
        return self.layers(frames).squeeze(1)

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """The second pass must not count its batch again."""
        return nullcontext(), still_statistics(self.layers)
