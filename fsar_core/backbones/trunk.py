"""What all backbones share: layers applied to frames or to clips, and parts of them held still."""

from typing import Literal, Self

import torch
from torch import Tensor, nn

BatchNormMode = Literal["train", "frozen"]
"""``train``: batch statistics in training mode. ``frozen``: always the stored ones; scale and shift still train."""


class Trunk(nn.Module):
    """Applies ``layers`` to videos: (V, T, 3, H, W) floating -> (V, T', D, h, w)."""

    def __init__(
        self,
        layers: nn.Module,
        *,
        frozen: bool,
        batch_norm: BatchNormMode = "train",
        over: Literal["frames", "clips"] = "frames",
    ) -> None:
        """``frozen``: weights without gradient, and evaluation mode whatever mode is set. A gradient still passes to
        videos that ask for one, so that a part before the backbone can be trained.

        ``over``: what the layers take, frames (B, 3, H, W) or whole clips (V, 3, T, H, W); time stays in its place.
        """
        super().__init__()
        # A layout in memory, in which convolutions are faster.
        self._layout = torch.channels_last if over == "frames" else torch.channels_last_3d
        self.layers = layers.to(memory_format=self._layout)
        self.layers.requires_grad_(not frozen)
        self._over = over
        self._frozen = frozen
        self._batch_norm = batch_norm
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self._frozen:
            self.layers.eval()
        elif self._batch_norm == "frozen":
            for layer in self.layers.modules():
                if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
                    layer.eval()
        return self

    def forward(self, videos: Tensor) -> Tensor:
        if videos.ndim != 5 or not videos.is_floating_point():
            raise ValueError(
                f"a backbone takes normalised floating videos of shape (V, T, 3, H, W), got {videos.dtype} of shape "
                f"{tuple(videos.shape)}; apply the normalisation of the run's preset first"
            )
        if self._over == "clips":
            return self.layers(videos.transpose(1, 2).contiguous(memory_format=self._layout)).transpose(1, 2)
        maps: Tensor = self.layers(videos.flatten(0, 1).contiguous(memory_format=self._layout))
        return maps.unflatten(0, videos.shape[:2])
