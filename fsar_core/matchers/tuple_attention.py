"""Attention of query tuples to the tuples of each class, block by block, so that its memory is bounded."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fsar_core.matchers.recompute import block

BYTES_AT_ONCE = 256 << 20
"""Bound of each of four: keys and values of the supports of a block; of its queries; their tuples' distances; scores,
weights and prototypes of some of these. One class of supports, one query and one tuple are never divided."""

Embed = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(..., T, D) frames -> (..., M, d) keys and values of their tuples."""


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
    or of its square. In training, blocks of which there are several are computed again for their gradients."""
    return by_blocks(lambda q, s: _to_classes(embed, q, s, size, squared), query, support, size)


def _to_classes(embed: Embed, query: Tensor, support: Tensor, size: Blocks, squared: bool) -> Tensor:
    keys, values = (own.flatten(2, 3) for own in embed(support))  # (E, n, K * M, d)
    found: list[Tensor] = []
    for part in query.split(size.queries, dim=1):
        query_keys, query_values = embed(part)  # (E, q, M', d)
        tuples = query_keys.shape[1:3]
        rows = zip(*(own.flatten(1, 2).split(size.rows, dim=1) for own in (query_keys, query_values)), strict=True)
        several = size.rows < query.shape[1] * tuples[1]
        gaps = torch.cat([block(_gaps, k, v, keys, values, one_of_several=several) for k, v in rows], dim=1)
        distances = gaps.square() if squared else gaps
        found.append(distances.unflatten(1, tuples).mean(2))
    return torch.cat(found, dim=1)


def _gaps(query_keys: Tensor, query_values: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """(E, R, d) of query tuples, (E, n, L, d) of the tuples of n classes -> (E, R, n): |value - prototype|."""
    scores = (query_keys * keys.shape[-1] ** -0.5) @ keys.flatten(1, 2).mT
    weights = scores.unflatten(-1, keys.shape[1:3]).softmax(-1)
    # The product of a class takes the difference along: no prototype is ever stored beside its query's value.
    gaps = [
        torch.linalg.vector_norm(torch.baddbmm(query_values, own, value, alpha=-1), dim=-1)
        for own, value in zip(weights.unbind(2), values.unbind(1), strict=True)
    ]
    return torch.stack(gaps, dim=-1)
