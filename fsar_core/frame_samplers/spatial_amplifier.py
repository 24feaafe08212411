"""VIM's spatial amplifier as a part: from scanned maps to saliency to amplified frames. Section 3.3.3."""

from typing import Literal

import torch
from torch import Tensor, nn

from fsar_core.frame_samplers.amplifier import Grid, amplified
from fsar_core.frame_samplers.saliency import channel_attention, enlarged, span_normalised, upsampling
from fsar_core.frozen import Frozen


class SpatialAmplifier(nn.Module):
    """Has a weight of its own only where the saliency is weighted and no task learner gives the weight."""

    class Config(Frozen):
        kind: Literal["amplify"] = "amplify"
        saliency: Literal["channel_attention", "stage_mean"] = "channel_attention"
        """The paper's, on stage 4, or the published sampler's mean over channels of stages 2 to 4."""
        grid: Grid = "published"
        """``published`` shifts by a pixel and leaves the first row and column black; ``centred`` is the identity where
        nothing stands out."""
        grid_grad: bool = True
        """Off: the saliency learns nothing from the frames, as in the published sampler."""

        def weighted(self) -> bool:
            """Whether it uses a weight ws over channels."""
            return self.saliency == "channel_attention"

        def build(self, *, width: int, cells: int, crop: int, generated: bool) -> "SpatialAmplifier":
            """``width``, ``cells``: of the scanned map. ``crop``: S. ``generated``: ws is an input."""
            return SpatialAmplifier(self, width, cells, crop, generated=generated)

    up: Tensor

    def __init__(self, config: Config, width: int, cells: int, crop: int, *, generated: bool) -> None:
        super().__init__()
        self.config = config
        own = config.weighted() and not generated
        self.weight = nn.Parameter(torch.full((width,), width**-0.5)) if own else None
        self.register_buffer("up", upsampling(cells, crop), persistent=False)

    def saliency(self, maps: Tensor, indicator: Tensor | None, weight: Tensor | None = None) -> Tensor:
        """(V, M, c, h, h) scanned maps -> (V, T, S, S) in 0..1. ``weight``: (c,), where it is generated.

        ``indicator``: (V, T, M), None where ``maps`` are those of the chosen frames already.
        """
        weight = weight if self.weight is None else self.weight
        up = self.up.to(maps.dtype)
        # The mean over stages has one channel, which is the saliency.
        salient = maps.squeeze(2) if weight is None else channel_attention(maps, weight)
        normalised = span_normalised(salient.flatten(0, 1), up).view_as(salient)
        if indicator is not None:
            normalised = (indicator @ normalised.flatten(2)).unflatten(2, normalised.shape[-2:])
        return enlarged(normalised, up)

    def forward(self, frames: Tensor, saliency: Tensor) -> Tensor:
        """(V, T, 3, S, S) and (V, T, S, S)."""
        config = self.config
        pictures = amplified(frames.flatten(0, 1), saliency.flatten(0, 1), grid=config.grid, grid_grad=config.grid_grad)
        return pictures.view_as(frames)
