"""The equations of I2ST's networks as loops, and small inputs for them."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.stages import ImageAttention, InstanceAttention
from fsar_core.stages.residual_attention import CrossAttention, FeedForward, SelfAttention
from tests.fsar_core.matcher_cases import randn

FRAMES, CELLS, DIM, HEADS = 3, 2, 8, 4
M = TypeVar("M", bound=nn.Module)

MAP = Shape(level="map", frames=FRAMES, dim=DIM, cells=CELLS)
FRAME = Shape(level="frame", frames=FRAMES, dim=DIM)


def lively(module: M) -> M:
    """In float64 and eval mode, with norms and biases that are not the identity."""
    torch.manual_seed(5)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.3)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean, std=0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2)
        if isinstance(layer, nn.LayerNorm):
            nn.init.uniform_(layer.weight, 0.5, 2)
    return module.double().eval()


def maps(shape: Shape = MAP, videos: int = 2, seed: int = 0) -> Tensor:
    return randn(videos, shape.frames, shape.dim, shape.cells, shape.cells, seed=seed)


def slow_norm(norm: nn.Module, x: Tensor) -> Tensor:
    if isinstance(norm, nn.Identity):
        return x
    assert isinstance(norm, nn.LayerNorm)
    centred = x - sum(x.tolist()) / len(x)
    return centred / math.sqrt(sum(v**2 for v in centred.tolist()) / len(x) + norm.eps) * norm.weight + norm.bias


def slow_heads(q: list[Tensor], k: list[Tensor], v: list[Tensor]) -> list[Tensor]:
    """Every list holds (heads, d) per place."""
    rows: list[Tensor] = []
    for own in q:
        heads: list[Tensor] = []
        for h in range(HEADS):
            scores = [math.exp((own[h] @ other[h]).item() / math.sqrt(own.shape[-1])) for other in k]
            heads.append(sum((s / sum(scores) * value[h] for s, value in zip(scores, v, strict=True)), torch.zeros(1)))
        rows.append(torch.cat(heads))
    return rows


def slow_self(layer: SelfAttention, places: list[Tensor]) -> list[Tensor]:
    """One sequence. Of a head's 3 d rows of the projection, the first d are its query, then key, then value."""
    projected = [(layer.qkv.weight @ slow_norm(layer.norm, x)).view(HEADS, 3, -1) for x in places]
    rows = slow_heads(*([p[:, part] for p in projected] for part in range(3)))
    out = [layer.out.weight @ row + layer.out.bias for row in rows]
    return [x + o for x, o in zip(places, out, strict=True)] if layer.residual else out


def slow_cross(layer: CrossAttention, places: list[Tensor], context: list[Tensor]) -> list[Tensor]:
    query = [(layer.query.weight @ slow_norm(layer.query_norm, x)).view(HEADS, -1) for x in places]
    both = [(layer.key_value.weight @ slow_norm(layer.norm, x)).view(HEADS, 2, -1) for x in context]
    rows = slow_heads(query, [p[:, 0] for p in both], [p[:, 1] for p in both])
    out = [layer.out.weight @ row + layer.out.bias for row in rows]
    if layer.residual in ("query", "both"):
        out = [o + x for o, x in zip(out, places, strict=True)]
    if layer.residual in ("image", "both"):
        out = [o + x for o, x in zip(out, context, strict=True)]
    return out


def slow_feed_forward(layer: FeedForward, x: Tensor) -> Tensor:
    hidden = layer.expand.weight @ slow_norm(layer.norm, x) + layer.expand.bias
    gelu = hidden * torch.tensor([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in hidden.tolist()])
    return x + layer.contract.weight @ gelu + layer.contract.bias


def slow_code(place: int) -> Tensor:
    angles = [place / 10_000 ** (2 * (c // 2) / DIM) for c in range(DIM)]
    return torch.tensor([math.cos(a) if c % 2 else math.sin(a) for c, a in enumerate(angles)])


def slow_codebase_code(place: int) -> Tensor:
    """The released table: its loop takes the channel where the usual one takes the number of its pair."""
    code = torch.zeros(DIM)
    for i in range(0, DIM, 2):
        code[i] = math.sin(place / 10_000 ** ((2 * i) / DIM))
        code[i + 1] = math.cos(place / 10_000 ** ((2 * (i + 1)) / DIM))
    return code


def slow_sam(stage: InstanceAttention | ImageAttention, config: object, *streams: Tensor) -> Tensor:
    """Equation 4 and the pooling of equation 5, sequence by sequence."""
    assert isinstance(config, InstanceAttention.Config | ImageAttention.Config)
    videos, frames, _, height, width = streams[0].shape
    result = torch.zeros(videos, frames, DIM)
    cells = list(product(range(height), range(width)))
    branches: Iterator[Any] = iter(stage.branches)
    for axis, wanted in (("cells", config.spatial), ("frames", config.temporal)):
        if not wanted:
            continue
        branch = next(branches)
        by_frame = [[(v, t, c) for c in cells] for v in range(videos) for t in range(frames)]
        by_cell = [[(v, t, c) for t in range(frames)] for v in range(videos) for c in cells]
        for sequence in by_frame if axis == "cells" else by_cell:
            inputs = [[stream[v, t, :, y, x] for v, t, (y, x) in sequence] for stream in streams]
            if config.pos == "sincos":
                inputs = [[x + slow_code(i) for i, x in enumerate(own)] for own in inputs]
            if isinstance(config, ImageAttention.Config):
                mixed = slow_self(branch.mix, inputs[0])
            elif config.fusion == "cross":
                mixed = slow_cross(branch.mix.attention, inputs[1], inputs[0])
            else:
                pairs = zip(
                    slow_self(branch.mix.image, inputs[0]), slow_self(branch.mix.instances, inputs[1]), strict=True
                )
                mixed = [a + b for a, b in pairs]
            for (v, t, _), x in zip(sequence, mixed, strict=True):
                result[v, t] += slow_feed_forward(branch.feed_forward, x) / len(cells)
    return result


def slow_batch_norm(norm: Any, x: Tensor) -> Tensor:
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
