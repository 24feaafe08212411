"""SAM, joint spatial-temporal attention over image features and instance embeddings: I2ST, section 3.4, equation 4."""

from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages.base import StageBase
from fsar_core.stages.residual_attention import Axis, CrossAttention, FeedForward, SelfAttention, as_tokens, check_heads
from fsar_core.stages.transformer import sincos_table


class BranchSettings(StageBase):
    """What the forms with and without instances share. Residuals, norms, dropouts: MoLo's code, the paper is silent."""

    spatial: bool = True
    """The branch in which the cells of a frame see each other."""
    temporal: bool = True
    """The branch in which the frames see each other, cell by cell."""
    heads: int = Field(default=8, ge=1)
    ffn_ratio: float = Field(default=1.0, gt=0)
    """Hidden width of the feed-forward / D; 1 is fitted to table 8."""
    prenorm: bool = True
    """A layer norm before attention. Equation 4 shows none."""
    attn_residual: bool = True
    """Adds what attention reads to what it gives. Equation 4 shows no residual there."""
    ffn_prenorm: bool = False
    """A layer norm before the feed-forward's first layer; MoLo's code has none."""
    attn_dropout: float = Field(default=0.2, ge=0, lt=1)
    """After the attention's output layer."""
    ffn_dropout: float = Field(default=0.05, ge=0, lt=1)
    """After the GELU."""
    ffn_out_dropout: float = Field(default=0.0, ge=0, lt=1)
    """After the feed-forward's second layer. MoLo's code has it, but it forbids ``pool_before_w2``."""
    pos: Literal["none", "sincos"] = "none"
    """``sincos``: the sine-cosine code of the place in the sequence is added to what a branch reads. The paper has a
    code in the global fusion only."""
    pool_before_w2: bool = True
    """Averages over the cells before the feed-forward's second layer: equal, and less to compute."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not (self.spatial or self.temporal):
            raise ValueError("a branch is needed: set spatial or temporal; without any, take the stage pooled_sum")
        if self.pool_before_w2 and self.ffn_out_dropout > 0:
            raise ValueError(
                f"ffn_out_dropout drops single cells, which no longer exist behind pool_before_w2; got "
                f"{self.ffn_out_dropout}, set it to 0 or pool_before_w2 to false"
            )
        return self

    def axes(self) -> list[Axis]:
        """The branches that there are."""
        wanted: list[tuple[Axis, bool]] = [("cells", self.spatial), ("frames", self.temporal)]
        return [axis for axis, on in wanted if on]

    def pooled(self, shape: Shape) -> Shape:
        """Frame features of the same width. Raises ValueError unless it is a map whose channels the heads divide."""
        if shape.level != "map":
            raise ValueError(f"attention over cells needs a map, but gets {shape.level} features; let it read backbone")
        check_heads(shape.dim, self.heads)
        return Shape(level="frame", frames=shape.frames, dim=shape.dim)


class InstanceAttention(nn.Module):
    """Attends in the image and in the instance stream, adds them, a feed-forward, mean over the cells, sum of branches.

    No weights are shared between streams or branches (fitted to table 8).
    """

    class Config(BranchSettings):
        kind: Literal["instance_attention"] = "instance_attention"
        inputs: ClassVar[int] = 2
        fusion: Literal["self", "cross"] = "self"
        """``cross`` (table 4): one attention per branch, from the instances as queries to the image."""
        cross_residual: Literal["query", "image", "both"] = "query"
        """What ``cross`` adds to its result: the stream of its queries as in MoLo's code, the image, or both."""

        @model_validator(mode="after")
        def _residual(self) -> Self:
            if self.cross_residual != "query" and not (self.fusion == "cross" and self.attn_residual):
                raise ValueError(
                    f"cross_residual {self.cross_residual!r} needs fusion 'cross' with attn_residual, got fusion "
                    f"{self.fusion!r} and attn_residual {self.attn_residual}; leave cross_residual out, or set both"
                )
            return self

        def gives(self, image: Shape, instances: Shape, *, classes: int) -> Shape:
            """Frame features. Raises ValueError unless both are maps of one shape whose channels the heads divide."""
            if image != instances:
                raise ValueError(
                    f"instance_attention reads two maps of one shape, image and instances, got {image} and {instances}"
                )
            return self.pooled(image)

        def build(self, image: Shape, instances: Shape, *, classes: int) -> "InstanceAttention":
            return InstanceAttention(self, image)

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        mix = _TwoStreams if config.fusion == "self" else _CrossStreams
        self.branches = nn.ModuleList(_Branch(config, shape, axis, mix(config, shape.dim)) for axis in config.axes())

    def forward(self, image: Tensor, instances: Tensor) -> Tensor:
        """Twice (V, T, D, h, w) to (V, T, D)."""
        streams = as_tokens(image), as_tokens(instances)
        return torch.stack([branch(*streams) for branch in self.branches]).sum(0)


class ImageAttention(nn.Module):
    """The same without instances: the rows of table 3 without the instance perception module."""

    class Config(BranchSettings):
        kind: Literal["image_attention"] = "image_attention"

        def gives(self, shape: Shape, *, classes: int) -> Shape:
            """Frame features. Raises ValueError unless it reads a map whose channels the heads divide."""
            return self.pooled(shape)

        def build(self, shape: Shape, *, classes: int) -> "ImageAttention":
            return ImageAttention(self, shape)

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            _Branch(config, shape, axis, _attention(config, shape.dim)) for axis in config.axes()
        )

    def forward(self, image: Tensor) -> Tensor:
        """(V, T, D, h, w) to (V, T, D)."""
        return torch.stack([branch(as_tokens(image)) for branch in self.branches]).sum(0)


class _Branch(nn.Module):
    """One axis: (V, T, L, D) streams to (V, T, D). ``mix`` makes one stream of them."""

    code: Tensor

    def __init__(self, settings: BranchSettings, shape: Shape, axis: Axis, mix: nn.Module) -> None:
        super().__init__()
        self.axis: Axis = axis
        self.mix = mix
        self.feed_forward = FeedForward(
            shape.dim,
            max(1, round(settings.ffn_ratio * shape.dim)),
            prenorm=settings.ffn_prenorm,
            dropout=settings.ffn_dropout,
            out_dropout=settings.ffn_out_dropout,
        )
        self.pools_first = settings.pool_before_w2
        self.has_code = settings.pos == "sincos"
        if self.has_code:
            table = sincos_table(shape.cells**2 if axis == "cells" else shape.frames, shape.dim)
            self.register_buffer("code", table if axis == "cells" else table.unsqueeze(1), persistent=False)

    def forward(self, *streams: Tensor) -> Tensor:
        if self.has_code:
            streams = tuple(stream + self.code for stream in streams)
        mixed = self.mix(*streams, self.axis)
        return self.feed_forward.mean(mixed, 2) if self.pools_first else self.feed_forward(mixed).mean(2)


class _TwoStreams(nn.Module):
    def __init__(self, config: InstanceAttention.Config, dim: int) -> None:
        super().__init__()
        self.image, self.instances = _attention(config, dim), _attention(config, dim)

    def forward(self, image: Tensor, instances: Tensor, axis: Axis) -> Tensor:
        return self.image(image, axis) + self.instances(instances, axis)


class _CrossStreams(nn.Module):
    def __init__(self, config: InstanceAttention.Config, dim: int) -> None:
        super().__init__()
        self.attention = CrossAttention(
            dim,
            config.heads,
            dropout=config.attn_dropout,
            prenorm=config.prenorm,
            residual=config.cross_residual if config.attn_residual else "none",
        )

    def forward(self, image: Tensor, instances: Tensor, axis: Axis) -> Tensor:
        return self.attention(instances, image, axis)


def _attention(settings: BranchSettings, dim: int) -> SelfAttention:
    return SelfAttention(
        dim,
        settings.heads,
        dropout=settings.attn_dropout,
        prenorm=settings.prenorm,
        residual=settings.attn_residual,
    )
