"""The two cosines of this literature, for all pairs of two sets of vectors."""

from torch import Tensor

from fsar_core.precision import full_precision, wide


def cosine(rows: Tensor, columns: Tensor, eps: float) -> Tensor:
    """(..., A, D) and (..., S, D) -> (..., A, S), in float32 or wider, under autocast too.

    ``eps`` > 0 is added to the product of the norms, ``x.y / (|x||y| + eps)``. 0 stands for plain normalisation, in
    which a norm below 1e-12 counts as 1e-12.
    """
    rows, columns = wide(rows), wide(columns)
    with full_precision(rows.device):
        # Dividing the products, not the vectors, spares a normalised copy of all features. The products come first, and
        # with the fewer vectors on the left: both are faster on a CPU.
        products = rows @ columns.mT if rows.shape[-2] <= columns.shape[-2] else (columns @ rows.mT).mT
        row_norms, column_norms = rows.norm(dim=-1), columns.norm(dim=-1)
        if eps == 0:
            row_norms, column_norms = row_norms.clamp_min(1e-12), column_norms.clamp_min(1e-12)
        return products / (row_norms.unsqueeze(-1) * column_norms.unsqueeze(-2) + eps)


def frame_cosine(query: Tensor, support: Tensor, eps: float) -> Tensor:
    """Every frame with every frame, by one matrix product: (*B, A, T', D) and (*B, S, T, D) -> (*B, A, T', S, T)."""
    pairs = cosine(query.flatten(-3, -2), support.flatten(-3, -2), eps)
    return pairs.unflatten(-1, support.shape[-3:-1]).unflatten(-3, query.shape[-3:-1])
