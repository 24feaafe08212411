"""L_mask, regression of instance masks from the instance embeddings: I2ST, section 3.3, equation 3."""

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Shape, Trace, Wiring
from fsar_core.frame_samplers import KeepAll
from fsar_core.losses.base import LossBase, LossModule
from fsar_core.losses.mask_decoder import MaskDecoder
from fsar_core.mask_settings import MaskSettings


class MaskRegression(LossModule):
    """The decoder's weights live in training only. Supports and queries count alike.

    Both pass the decoder together: a method's ``joint_batch_norm`` splits the batch statistics of its backbone and
    steps only.
    """

    class Config(LossBase):
        """Decoder sizes are fitted to table 8; the paper draws convolutions and upsamplings and gives no numbers."""

        kind: Literal["mask_regression"] = "mask_regression"
        weight: float = Field(default=0.2, ge=0)
        """lambda of equation 7; the paper gives no value. MoLo's weights of its reconstruction, put on this scale."""
        reads: str = "instances"
        mid: int = Field(default=256, ge=1)
        """Channels behind the decoder's first convolution."""
        channels: tuple[int, ...] = Field(default=(128, 32, 16), min_length=1)
        """Of the decoder's blocks."""
        ups: tuple[int, ...] = Field(default=(2, 4, 4), min_length=1)
        """Upsampling factor of each block; times the cells of the map they give the crop."""
        activation: Literal["none", "sigmoid"] = "none"
        """Of the predicted mask. Linear as MoLo's decoder of pixels; the paper does not say."""
        reduction: Literal["mse", "sum_videos", "l2norm"] = "mse"
        """``mse``: mean of squares over pixels and frames. Equation 3 is a sum over videos of an L2 distance:
        ``sum_videos`` sums the mean squares of the clips, ``l2norm`` the norms of the differences of whole clips."""
        out_size: int | None = Field(default=None, ge=1)
        """Pixels per side of the predicted mask. None: the crop. The cheap form leaves out the last upsampling and
        averages the target: the crop divided by the last of ``ups``."""
        checkpoint: bool = False
        """Computes the decoder's activations again in the backward pass instead of keeping them; equal results."""
        chunk_frames: int = Field(default=0, ge=0)
        """Frames that pass the decoder at once, 0 for all. Batch norms then see a chunk. Bounds the memory together
        with ``checkpoint``."""
        masks: MaskSettings = MaskSettings()

        @model_validator(mode="after")
        def _blocks(self) -> Self:
            if len(self.channels) != len(self.ups) or min(*self.channels, *self.ups) < 1:
                raise ValueError(
                    f"channels and ups need one number >= 1 for each block, got {self.channels} and {self.ups}"
                )
            return self

        def mask_settings(self) -> MaskSettings:
            """It reads the instance masks of the frames."""
            return self.masks

        def check(self, wiring: Wiring) -> None:
            """Raises ValueError unless it reads a map of the clip's own frames that the decoder turns into the crop."""
            shape = wiring.shapes[self.reads]
            if shape.level != "map":
                raise ValueError(f"needs a map of instance embeddings, but {self.reads!r} gives {shape.level} features")
            if not isinstance(wiring.frame_sampler, KeepAll.Config):
                raise ValueError(
                    f"masks belong to the frames that were read, so that the frame sampler must be keep_all, "
                    f"got {type(wiring.frame_sampler).__qualname__}"
                )
            if shape.frames != wiring.frames:
                raise ValueError(
                    f"masks belong to the clip's {wiring.frames} frames, but {self.reads!r} has {shape.frames}; "
                    "take a backbone that keeps every frame, or leave the loss out"
                )
            size = shape.cells * math.prod(self.ups)
            if size != wiring.crop:
                raise ValueError(
                    f"ups must turn the {shape.cells} cells per side of {self.reads!r} into the crop's {wiring.crop} "
                    f"pixels, got {self.ups}, which give {size}; their product must be {wiring.crop / shape.cells:g}"
                )
            allowed = (wiring.crop, wiring.crop // self.ups[-1])
            if self.out_size not in (None, *allowed):
                raise ValueError(f"out_size must be one of {sorted({*allowed})} or None, got {self.out_size}")

        def build(self, wiring: Wiring, classes: int) -> "MaskRegression":
            return MaskRegression(self, wiring.shapes[self.reads], wiring.crop)

    def __init__(self, config: Config, shape: Shape, crop: int) -> None:
        super().__init__()
        self.config = config
        cheap = config.out_size not in (None, crop)
        self.shrink = config.ups[-1] if cheap else 1
        self.decoder = MaskDecoder(
            shape.dim, config.mid, config.channels, (*config.ups[:-1], 1) if cheap else config.ups
        )

    def predicted(self, features: Tensor) -> Tensor:
        """(V, T, D, h, w) instance embeddings to (V, T, H, W) masks."""
        frames = features.flatten(0, 1)
        chunks = frames.split(self.config.chunk_frames or len(frames))
        masks = torch.cat([self.decoder(chunk, recompute=self.config.checkpoint) for chunk in chunks])
        if self.config.activation == "sigmoid":
            masks = masks.sigmoid()
        return masks.unflatten(0, features.shape[:2])

    def forward(self, trace: Trace) -> Tensor:
        """A scalar, float32 or wider. Frames whose mask is missing have no part in it."""
        masks, has_mask = trace.clips.masks, trace.clips.has_mask
        if masks is None:
            raise ValueError(
                "mask_regression needs clips with masks; open the train split with masks, or drop the loss"
            )
        predicted = self.predicted(trace.outputs[self.config.reads])
        predicted = predicted.to(torch.promote_types(predicted.dtype, torch.float32))
        target = masks.to(predicted.dtype) / 255
        if self.shrink > 1:
            target = F.avg_pool2d(target, self.shrink)
        weights = predicted.new_ones(masks.shape[:2]) if has_mask is None else has_mask.to(predicted.dtype)
        return self._reduced((predicted - target).square(), weights)

    def _reduced(self, squares: Tensor, weights: Tensor) -> Tensor:
        """(V, T, H, W) and the (V, T) weights of the frames."""
        if self.config.reduction == "l2norm":
            sums = (squares.sum((-2, -1)) * weights).sum(-1)
            return sums.clamp_min(1e-12).sqrt().sum()
        per_frame = squares.mean((-2, -1)) * weights
        if self.config.reduction == "sum_videos":
            return (per_frame.sum(-1) / weights.sum(-1).clamp_min(1)).sum()
        return per_frame.sum() / weights.sum().clamp_min(1)
