"""What all backbones share: layers applied to frames or to clips, and parts of them held still."""

from typing import Literal, Self

import torch
from torch import Tensor, nn

from fsar_core.backbones.recompute import in_blocks, in_parts, sees_each_alone

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
        # In memory, where convolutions are faster so.
        self.layout = torch.channels_last if over == "frames" else torch.channels_last_3d
        self.layers = layers.to(memory_format=self.layout)
        self.layers.requires_grad_(not frozen)
        self._over = over
        self._frozen = frozen
        self._batch_norm = batch_norm
        self.frames_at_once: int | None = None
        """None: gradients find all activations kept. Else they are computed again, for so many frames at a time where
        frames do not see each other, else block by block over all."""
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
            clips = videos.transpose(1, 2).contiguous(memory_format=self.layout)
            return self._maps(clips, videos.shape[1]).transpose(1, 2)
        frames = videos.flatten(0, 1).contiguous(memory_format=self.layout)
        return self._maps(frames, 1).unflatten(0, videos.shape[:2])

    def _maps(self, images: Tensor, frames: int) -> Tensor:
        """``frames``: of a row of ``images``."""
        if self.frames_at_once is None or not torch.is_grad_enabled():
            return self.layers(images)
        if sees_each_alone(self.layers):
            return in_parts(self.layers, images, max(1, self.frames_at_once // frames))
        return in_blocks(self.layers, images)


def recompute(method: nn.Module, frames_at_once: int | None) -> None:
    """Sets ``frames_at_once`` of every backbone in it."""
    for module in method.modules():
        if isinstance(module, Trunk):
            module.frames_at_once = frames_at_once
