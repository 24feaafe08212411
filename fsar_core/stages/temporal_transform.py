"""VIM's temporal transformation (section 3.4.3), as in TA2N's code: https://github.com/R00Kie-Liu/TA2N."""

from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase

SMALLEST = 4
"""Frames, and cells per side: the localisation network halves them twice."""


class TemporalTransform(nn.Module):
    """Moves and zooms a clip along time: output frame at tau in [-1, 1] is the input at a * tau + b.

    Between two frames the input is interpolated linearly, outside the clip it is zero.
    """

    class Config(StageBase):
        """Training starts at a = tanh 2, b = 0. a stays below 1: it zooms in, shifts, or (a < 0) reverses."""

        kind: Literal["temporal_transform"] = "temporal_transform"

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """The shape it reads. Raises ValueError unless this is a map of 4 frames and 4 x 4 cells at least."""
            if shape.level != "map":
                raise ValueError(
                    f"temporal_transform needs a map, but gets {shape.level} features; put the pool behind it"
                )
            if shape.frames < SMALLEST or shape.cells < SMALLEST:
                raise ValueError(
                    f"temporal_transform needs at least {SMALLEST} frames and {SMALLEST} x {SMALLEST} cells, got "
                    f"{shape.frames} frames and {shape.cells} x {shape.cells} cells; take more frames or a larger crop"
                )
            return shape

        def build(self, shape: Shape, *, classes: int) -> "TemporalTransform":
            return TemporalTransform(shape.dim)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv3d(dim, 64, 3, padding=1),
            nn.BatchNorm3d(64),
            nn.MaxPool3d(2),
            nn.ReLU(),
            nn.Conv3d(64, 128, 3, padding=1),
            nn.BatchNorm3d(128),
            nn.MaxPool3d(2),
            nn.ReLU(),
        )
        self.hidden = nn.Linear(128, 32)
        self.last = nn.Linear(32, 2)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([2.0, 0.0]))

    def theta(self, features: Tensor) -> Tensor:
        """(V, T, D, h, w) to (V, 2): a and b in (-1, 1), float32 or wider."""
        found = self.convolutions(features.transpose(1, 2)).amax((-3, -2, -1))
        device = features.device.type
        # Half precision would move a frame by a hundredth. On the meta device there is no autocast to switch off.
        with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
            found = found.to(torch.promote_types(found.dtype, torch.float32))
            return self.last(self.hidden(found).relu()).tanh()

    def forward(self, features: Tensor) -> Tensor:
        """(V, T, D, h, w) to the same shape; no clip sees another, but for the batch norms in training."""
        return warp(features, self.theta(features))


def warp(features: Tensor, theta: Tensor) -> Tensor:
    """(V, T, D, h, w) features at the positions a * tau + b, for (V, 2) theta of any size. One T x T matrix per clip.

    At a position that is exactly a frame, the gradient is the slope to the next frame.
    """
    frames = features.shape[1]
    tau = torch.linspace(-1, 1, frames, dtype=theta.dtype, device=theta.device)
    at = ((theta[:, :1] * tau + theta[:, 1:] + 1) * ((frames - 1) / 2)).unsqueeze(-1)  # (V, T, 1), in frames
    before = at.detach().floor()
    share = at - before
    source = torch.arange(frames, dtype=theta.dtype, device=theta.device)
    weights = torch.where(source == before, 1 - share, 0) + torch.where(source == before + 1, share, 0)
    pixels = features.permute(0, 1, 3, 4, 2)  # as the backbone lays them out in memory
    moved = weights.to(features.dtype) @ pixels.flatten(2)
    return moved.view(pixels.shape).permute(0, 1, 4, 2, 3)
