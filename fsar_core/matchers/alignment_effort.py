"""How far VIM's alignment moves a pair: the alignment cost of VIM's section 4.4.6, figure 17. For analyses only."""

import torch
from torch import Tensor


def alignment_effort(theta: Tensor, evolution: Tensor, offset: Tensor, offset_scale: float = 0.75) -> Tensor:
    """(..., Q, 2) angles of the queries (the paper does not say whose), (..., Q, N, T, T) and (..., Q, N, T, 2)
    -> (..., Q, N, 3), each >= 0, to be added: |1 - a| + |b| of the temporal transformation, and the Frobenius norms of
    what the rearrangement differs from the identity by, and of the offsets before their scale."""
    temporal = (1 - theta[..., 0]).abs() + theta[..., 1].abs()
    still = torch.eye(evolution.shape[-1], dtype=evolution.dtype, device=evolution.device)
    moments = (evolution - still).square().sum((-2, -1)).sqrt()
    places = offset.square().sum((-2, -1)).sqrt() / offset_scale
    return torch.stack((temporal.unsqueeze(-1).expand_as(moments), moments, places), dim=-1)
