"""The best of all whole-cell offsets between two maps, per frame: VIM's "enumerate" (table 13)."""

import torch
from torch import Tensor

from fsar_core.matchers.windows import lattice_offsets, window_weights


def best_offsets(
    support: Tensor, query: Tensor, cells: int, max_offset: int | None, constant: Tensor | None = None
) -> Tensor:
    """(E, N, T, P, D) and (E, Q, T, P, D), P = cells * cells -> (E, Q, N, T, 2), offsets (x, y) of least cosine
    distance between the means over the overlap, as ``overlap_weights`` reads them. No gradient passes.

    ``constant`` (E, Q, N, T, D) is added to every cell of the query's map. The means of a video are computed once, and
    inner products are expanded, so that no mean is ever formed for a pair.
    """
    with torch.no_grad():
        steps = lattice_offsets(cells, "pixel", max_offset)
        weights = window_weights(cells, steps).to(support)
        ours = weights @ support  # (E, N, T, O, D)
        theirs = weights.flip(0) @ query
        products = torch.einsum("entod,eqtod->eqnto", ours, theirs)
        lengths = theirs.square().sum(-1).unsqueeze(2)
        if constant is not None:
            products = products + torch.einsum("entod,eqntd->eqnto", ours, constant)
            cross = torch.einsum("eqtod,eqntd->eqnto", theirs, constant)
            lengths = lengths + 2 * cross + constant.square().sum(-1, keepdim=True)
        norms = ours.norm(dim=-1).clamp_min(1e-12).unsqueeze(1) * lengths.clamp_min(1e-24).sqrt()
        best = (products / norms).argmax(-1)
        steps = steps.to(support) * (2 / (cells - 1))
        return torch.stack((steps[best % len(steps)], steps[best // len(steps)]), dim=-1)
