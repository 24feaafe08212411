"""What all backbones share: layers applied to every frame, and parts of them held still."""

from typing import Literal, Self

import torch
from torch import Tensor, nn

BatchNormMode = Literal["train", "frozen"]
"""``train``: batch statistics in training mode. ``frozen``: always the stored ones; scale and shift still train."""


class Trunk(nn.Module):
    """Applies 2-d ``layers`` to the frames of videos: (V, T, 3, H, W) floating -> (V, T, D, h, w)."""

    def __init__(self, layers: nn.Sequential, *, frozen: bool, batch_norm: BatchNormMode) -> None:
        """``frozen``: weights without gradient, and evaluation mode whatever mode is set. A gradient still passes to
        videos that ask for one, so that a part before the backbone can be trained."""
        super().__init__()
        # A layout in memory, in which convolutions are faster.
        self.layers = layers.to(memory_format=torch.channels_last)
        self.layers.requires_grad_(not frozen)
        self._frozen = frozen
        self._batch_norm = batch_norm
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self._frozen:
            self.layers.eval()
        elif self._batch_norm == "frozen":
            for layer in self.layers.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def forward(self, videos: Tensor) -> Tensor:
        if videos.ndim != 5 or not videos.is_floating_point():
            raise ValueError(
                f"a backbone takes normalised floating videos of shape (V, T, 3, H, W), got {videos.dtype} of shape "
                f"{tuple(videos.shape)}; apply the normalisation of the run's preset first"
            )
        maps: Tensor = self.layers(videos.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        return maps.unflatten(0, videos.shape[:2])
