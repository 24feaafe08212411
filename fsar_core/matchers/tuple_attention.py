"""Attention of query tuples to the tuples of each class, block by block, so that its memory is bounded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from fsar_core.matchers.recompute import block
from fsar_core.matchers.tuples import joined

BYTES_AT_ONCE = 256 << 20
"""Bound of each of four: keys and values of the supports of a block; of its queries; their tuples' distances; scores,
weights and prototypes of some of these. One class of supports, one query and one tuple are never divided."""

Embedded = tuple[Tensor, ...]
Embed = Callable[[Tensor], Embedded]
"""(..., T, D) frames -> (..., M, d) vectors of their tuples, keys and values for instance."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Sizes of what is to be matched."""

    episodes: int
    queries: int
    classes: int
    shots: int
    query_tuples: int
    """Per video."""
    support_tuples: int
    dim: int
    """Of keys and values."""
    itemsize: int
    """Bytes of a number."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """How much is done at once."""

    episodes: int
    classes: int
    queries: int
    rows: int
    """Query tuples, over all queries of a block."""


def blocks(work: Work, limit: int = BYTES_AT_ONCE) -> Blocks:
    """The largest blocks within ``limit`` bytes. Whole episodes, if one fits; else some of its classes and queries."""
    number = 2 * work.dim * work.itemsize
    per_query, per_class = number * work.query_tuples, number * work.support_tuples * work.shots
    per_episode = max(work.queries * per_query, work.classes * per_class, 1)
    episodes = min(max(1, limit // per_episode), max(1, work.episodes))
    classes = min(max(1, limit // per_class), max(1, work.classes))
    distances = episodes * classes * work.query_tuples * work.itemsize
    queries = min(max(1, limit // max(per_query, distances)), max(1, work.queries))
    # Of a query tuple: scores and weights of all supports, and one prototype for each class.
    numbers = classes * (2 * work.shots * work.support_tuples + work.dim)
    rows = max(1, limit // (episodes * numbers * work.itemsize))
    return Blocks(episodes=episodes, classes=classes, queries=queries, rows=min(rows, queries * work.query_tuples))


def by_blocks(function: Callable[[Tensor, Tensor], Tensor], query: Tensor, support: Tensor, size: Blocks) -> Tensor:
    """``function`` of (e, Q, ...) and (e, n, ...) gives (e, Q, n): joined over blocks of episodes and classes."""
    return torch.cat(
        [
            torch.cat([function(q, part) for part in s.split(size.classes, dim=1)], dim=2)
            for q, s in zip(query.split(size.episodes), support.split(size.episodes), strict=True)
        ]
    )


def tuple_distances(embed: Embed, query: Tensor, support: Tensor, size: Blocks, *, squared: bool) -> Tensor:
    """(E, Q, T', D) and (E, N, K, T, D) frames -> (E, Q, N): mean over the tuples of a query of |value - prototype|,
    or of its square. ``embed`` gives keys and values. In training, blocks of which there are several are computed again
    for their gradients."""
    return by_blocks(lambda q, s: _to_classes(embed, q, s, size, squared), query, support, size)


def embedded(embed: Embed, query: Tensor, support: Tensor, at_once: int) -> tuple[Embedded, Iterable[Embedded]]:
    """(E, Q, T', D) and (E, n, K, T, D) frames -> what ``embed`` makes of the supports, (E, n, K * M, d) each, and of
    blocks of so many queries, (E, q, M', d) each. Both in one go if that is all queries and clips are equally long."""
    shape, queries = support.shape[1:3], query.shape[1]
    if at_once >= queries and query.shape[-2] == support.shape[-2]:
        both = [own.split((queries, shape.numel()), dim=1) for own in embed(joined(query, support))]
        parts = [tuple(own for own, _ in both)]
        supports = tuple(own for _, own in both)
    else:
        supports = embed(support.flatten(1, 2))
        parts = (embed(part) for part in query.split(at_once, dim=1))
    return tuple(own.unflatten(1, shape).flatten(2, 3) for own in supports), parts


def _to_classes(embed: Embed, query: Tensor, support: Tensor, size: Blocks, squared: bool) -> Tensor:
    (keys, values), parts = embedded(embed, query, support, size.queries)
    found: list[Tensor] = []
    for query_keys, query_values in parts:
        tuples = query_keys.shape[1:3]
        rows = zip(*(own.flatten(1, 2).split(size.rows, dim=1) for own in (query_keys, query_values)), strict=True)
        several = size.rows < query.shape[1] * tuples[1]
        gaps = torch.cat([block(_gaps, k, v, keys, values, one_of_several=several) for k, v in rows], dim=1)
        distances = gaps.square() if squared else gaps
        found.append(distances.unflatten(1, tuples).mean(2))
    return torch.cat(found, dim=1)


def _gaps(query_keys: Tensor, query_values: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """(E, R, d) of query tuples, (E, n, L, d) of the tuples of n classes -> (E, R, n): |value - prototype|."""
    scores = (query_keys @ keys.flatten(1, 2).mT).mul_(keys.shape[-1] ** -0.5)
    weights = scores.unflatten(-1, keys.shape[1:3]).softmax(-1)
    # The product of a class takes the difference along: no prototype is ever stored beside its query's value.
    gaps = [
        torch.linalg.vector_norm(torch.baddbmm(query_values, own, value, alpha=-1), dim=-1)
        for own, value in zip(weights.unbind(2), values.unbind(1), strict=True)
    ]
    return torch.stack(gaps, dim=-1)
