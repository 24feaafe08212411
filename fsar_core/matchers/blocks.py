"""Scores of many pairs, some queries at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

FRAME_PAIRS = 2**24
"""Of all queries and supports together, scored at once: 64 MiB per float32 tensor of frame distances."""


def in_blocks(pair_scores: Callable[[Tensor, Tensor], Tensor], query: Tensor, support: Tensor) -> Tensor:
    """``pair_scores(query, support)``, (*B, A, T', D) and (*B, S, T, D) -> (*B, A, S), over blocks of the A queries.

    A block has at most ``FRAME_PAIRS`` pairs of frames, or one query.
    """
    per_query = query[..., :1, :, 0].numel() * support.shape[-3] * support.shape[-2]
    block = max(1, FRAME_PAIRS // max(1, per_query))
    if block >= query.shape[-3]:
        return pair_scores(query, support)
    return torch.cat([pair_scores(part, support) for part in query.split(block, dim=-3)], dim=-2)
