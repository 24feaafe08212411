"""VIM's temporal rearrangement (section 3.4.3, eq. 17), and the attention over shots of TA2N's code."""

from torch import Tensor, nn

from fsar_core.precision import wide


class Rearrangement(nn.Module):
    """Every support frame asks which query frames show the same moment. Three projections without bias."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.key = nn.Linear(dim, dim, bias=False)
        self.query = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)

    def evolution(self, keys: Tensor, queries: Tensor) -> Tensor:
        """(..., T, D) of the support and of the query -> (..., T, T'): each row sums to 1 over the query's frames."""
        return softmax_scores(keys @ queries.mT, keys.shape[-1])


def softmax_scores(products: Tensor, dim: int) -> Tensor:
    """Inner products over D channels to weights that sum to 1 along the last axis, float32 or wider."""
    return (wide(products) / dim**0.5).softmax(-1)


class ShotAttention(nn.Module):
    """Makes the K shots of a class run in step with its first shot before they are averaged: TA2N's code, not VIM's."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.key = nn.Linear(dim, dim, bias=False)
        self.query = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)

    def prototypes(self, shots: Tensor) -> Tensor:
        """(E, N, K, T, h, w, D) -> (E, N, T, h, w, D)."""
        pooled = shots.mean((-3, -2))
        keys, queries = self.key(pooled), self.query(pooled[:, :, :1])
        weights = softmax_scores(queries @ keys.mT, shots.shape[-1])  # (E, N, K, T of the first shot, T of the source)
        values = self.value(shots)
        moved = weights.to(values.dtype) @ values.flatten(-3)
        return moved.mean(2).unflatten(-1, shots.shape[-3:])

    def project(self, queries: Tensor) -> Tensor:
        """The projection of the values, which the code then also applies to the queries."""
        projected: Tensor = self.value(queries)
        return projected


def rearranged(support: Tensor, query: Tensor, attention: Rearrangement) -> tuple[Tensor, Tensor, Tensor]:
    """Frame features of pairs, both (..., T, D), each with what the rearrangement adds, and the evolution."""
    evolution = attention.evolution(attention.key(support), attention.query(query))
    return support + attention.value(support), query + evolution @ attention.value(query), evolution
