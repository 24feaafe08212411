"""A square cut out of every frame where a small network says, in place of VIM's amplifier. VIM, table 10.

After Wang et al. (AdaFocus V2), CVPR 2022, https://arxiv.org/abs/2112.14238.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fsar_core.frame_samplers.amplifier import sampled_at
from fsar_core.frozen import Frozen


class Cropper(nn.Module):
    """The gradient reaches the corners through the bilinear cut."""

    class Config(Frozen):
        kind: Literal["crop"] = "crop"
        share: float = Field(default=5 / 7, gt=0, le=1)
        """Side of the square / side of the frame: 160 of 224 pixels. Published choices are 96, 128, 160 and 192."""

        def build(self, *, width: int, cells: int, crop: int) -> "Cropper":
            """``width``, ``cells``: of the scanned map. ``crop``: pixels per side of a frame.

            Raises ValueError where the square would have fewer than 2 pixels a side.
            """
            if round(self.share * crop) < 2:
                raise ValueError(f"spatial.share of {crop} pixels must be 2 pixels or more, got {self.share}")
            return Cropper(self, width, cells, crop)

    def __init__(self, config: Config, width: int, cells: int, crop: int) -> None:
        super().__init__()
        self.size, self.side = crop, round(config.share * crop)
        self.look = nn.Sequential(nn.Conv2d(width, 64, 1, bias=False), nn.BatchNorm2d(64), nn.Tanh(), nn.Flatten())
        self.point = nn.Sequential(nn.Linear(64 * cells**2, 128), nn.Tanh(), nn.Linear(128, 2), nn.Sigmoid())

    def corners(self, maps: Tensor) -> Tensor:
        """(B, c_s, h, h) -> (B, 2) upper left corners, x and y in pixels. The maps get no gradient."""
        return self.point(self.look(maps.detach())) * (self.size - self.side)

    def forward(self, frames: Tensor, corners: Tensor) -> Tensor:
        """(V, T, 3, S, S) frames cut at (V, T, 2), enlarged to S x S again."""
        steps = torch.linspace(0, self.side - 1, self.size, dtype=corners.dtype, device=corners.device)
        columns, rows = (corners.flatten(0, 1)[:, :, None] + steps).unbind(1)
        return sampled_at(frames.flatten(0, 1), rows, columns).view_as(frames)
