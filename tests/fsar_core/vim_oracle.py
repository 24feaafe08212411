"""VIM's alignment the long way: every pair joined, every frame and every offset by itself."""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from fsar_core.matchers.alignment_offsets import OffsetPredictor
from fsar_core.matchers.alignment_rearrange import Rearrangement
from fsar_core.matchers.pair_alignment import PairAlignment


@dataclass(frozen=True, kw_only=True)
class Pair:
    """(T, D) features, and what led to them."""

    support: Tensor
    query: Tensor
    evolution: Tensor | None
    offset: Tensor | None


def aligned_pairs(matcher: PairAlignment, prototypes: Tensor, queries: Tensor) -> list[list[Pair]]:
    """(N, T, D, h, w) and (Q, T, D, h, w) -> [query][class], temporal first."""
    keys = [(q, n) for q in range(len(queries)) for n in range(len(prototypes))]
    joined = {(q, n): _rearranged(matcher.pairs.rearrangement, prototypes[n], queries[q]) for q, n in keys}
    offsets = dict.fromkeys(keys)
    if matcher.pairs.predictor is not None:
        inputs = torch.stack([torch.cat(joined[key][:2], dim=1).transpose(0, 1) for key in keys])
        offsets = dict(zip(keys, predicted(matcher.pairs.predictor, inputs), strict=True))
    found: dict[tuple[int, int], Pair] = {}
    for key in keys:
        support, query, evolution = joined[key]
        offset = offsets[key]
        if matcher.config.spatial == "enumerate":
            offset = torch.stack([_best(support[t], query[t], matcher.config.max_offset) for t in range(len(support))])
        found[key] = Pair(
            support=_pooled(matcher, support, offset),
            query=_pooled(matcher, query, None if offset is None else -offset),
            evolution=evolution,
            offset=offset,
        )
    return [[found[q, n] for n in range(len(prototypes))] for q in range(len(queries))]


def _rearranged(
    attention: Rearrangement | None, support: Tensor, query: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    if attention is None:
        return support, query, None
    ours, theirs = support.mean((-2, -1)), query.mean((-2, -1))
    frames, dim = ours.shape
    evolution = torch.stack(
        [
            torch.stack(
                [
                    (attention.key.weight @ ours[x]) @ (attention.query.weight @ theirs[y]) / dim**0.5
                    for y in range(frames)
                ]
            ).softmax(0)
            for x in range(frames)
        ]
    )
    moved_support, moved_query = support.clone(), query.clone()
    for x in range(frames):
        value = sum(evolution[x, y] * (attention.value.weight @ theirs[y]) for y in range(frames))
        moved_query[x] = query[x] + torch.as_tensor(value)[:, None, None]
        moved_support[x] = support[x] + (attention.value.weight @ ours[x])[:, None, None]
    return moved_support, moved_query, evolution


def predicted(predictor: OffsetPredictor, pairs: Tensor) -> Tensor:
    """(pairs, 2 D, T, h, w) joined maps -> (pairs, T, 2)."""
    x = predictor.bn1(predictor.conv1(pairs))
    x = F.max_pool3d(x, (1, 2, 2)).relu()
    x = F.max_pool3d(predictor.bn2(predictor.conv2(x)), (1, 2, 2)).relu()
    x = F.max_pool3d(x, (1, *x.shape[-2:])).flatten(2).mT
    return predictor.last(predictor.hidden(x).relu()).tanh() * predictor.scale


def _pooled(matcher: PairAlignment, maps: Tensor, offset: Tensor | None) -> Tensor:
    if offset is None:
        return maps.mean((-2, -1))
    step = 0.0 if matcher.config.spatial == "enumerate" else matcher.config.perturbation
    steps = (-step, 0.0, step) if step else (0.0,)
    weigh = box_weights if matcher.config.spatial == "affine" else mask_weights
    frames: list[Tensor] = []
    for t in range(len(maps)):
        means = [
            (weigh(offset[t] + offset.new_tensor([dx, dy]), maps.shape[-1]) * maps[t]).sum((-2, -1))
            for dx, dy in product(steps, steps)
        ]
        frames.append(torch.stack(means).mean(0))
    return torch.stack(frames)


def mask_weights(offset: Tensor, cells: int) -> Tensor:
    """(2) -> (cells, cells), place by place."""
    x, y = (torch.stack([_inside(offset[axis], i, cells) for i in range(cells)]) for axis in (0, 1))
    mask = y[:, None] * x[None, :]
    return mask / mask.sum()


def _inside(offset: Tensor, i: int, cells: int) -> Tensor:
    place = 2 * i / (cells - 1) - 1 + offset
    return (1 - (place.abs() - 1) * (cells - 1) / 2).clamp(0, 1)


def box_weights(offset: Tensor, cells: int) -> Tensor:
    """The part of the map that meets the other, resampled to ``cells`` x ``cells`` by PyTorch's own sampling."""
    zero = torch.zeros((), dtype=offset.dtype)
    scale, centre = 1 - offset.abs() / 2, -offset / 2
    theta = torch.stack([torch.stack((scale[0], zero, centre[0])), torch.stack((zero, scale[1], centre[1]))])
    grid = F.affine_grid(theta[None].expand(cells**2, -1, -1), [cells**2, 1, cells, cells], align_corners=True)
    single = torch.eye(cells**2, dtype=offset.dtype).view(cells**2, 1, cells, cells)
    return F.grid_sample(single, grid, align_corners=True).mean((1, 2, 3)).view(cells, cells)


def _best(support: Tensor, query: Tensor, most: int | None) -> Tensor:
    cells = support.shape[-1]
    reach = cells - 1 if most is None else most
    best, least = torch.zeros(2, dtype=support.dtype), float("inf")
    for dy, dx in product(range(-reach, reach + 1), repeat=2):
        ours = support[:, max(0, -dy) : cells - max(0, dy), max(0, -dx) : cells - max(0, dx)].mean((-2, -1))
        theirs = query[:, max(0, dy) : cells - max(0, -dy), max(0, dx) : cells - max(0, -dx)].mean((-2, -1))
        distance = 1 - float(F.cosine_similarity(ours, theirs, dim=0).detach())
        if distance < least:
            best, least = torch.tensor([dx, dy], dtype=support.dtype) * 2 / (cells - 1), distance
    return best
