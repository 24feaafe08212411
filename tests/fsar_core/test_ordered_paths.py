"""OTAM's cost by sums of exponentials: what the recursion in logarithms gives, and where it may be used."""

import pytest
import torch
from torch import Tensor

from fsar_core.episode import Shape
from fsar_core.matchers import Otam
from fsar_core.matchers.ordered_paths import both_costs, holds
from fsar_core.matchers.otam import alignment_cost
from tests.fsar_core.matcher_cases import randn


def by_logarithms(distances: Tensor, lam: float = 0.1) -> Tensor:
    return alignment_cost(distances, lam) + alignment_cost(distances.mT, lam)


def cases(rows: int, columns: int) -> Tensor:
    """Pairs of any distances, of none, of the largest, and of ones that grow or shrink along the rows."""
    anyhow = torch.rand((3, rows, columns), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    slope = torch.linspace(0, 2, rows, dtype=torch.float64).view(rows, 1).expand(rows, columns)
    flat = torch.zeros(rows, columns, dtype=torch.float64)
    return torch.cat((anyhow, torch.stack((flat, flat + 2, slope, slope.flip(0)))))


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (1, 5), (5, 1), (1, 1)], ids=str)
def test_costs_and_gradients_are_those_of_the_recursion_in_logarithms(size: tuple[int, int]) -> None:
    ways = [cases(*size).requires_grad_() for _ in range(2)]
    assert holds(ways[0], 0.1)
    for costs, distances in zip((both_costs, by_logarithms), ways, strict=True):
        costs(distances, 0.1).square().sum().backward()
    torch.testing.assert_close(both_costs(ways[0], 0.1), by_logarithms(ways[1]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ways[0].grad, ways[1].grad, rtol=1e-10, atol=1e-10)


def test_the_longest_paths_that_hold_neither_overflow_nor_vanish() -> None:
    farthest = torch.full((1, 8, 8), 2.0, dtype=torch.float64, requires_grad=True)
    lam = 30 / 320
    assert holds(farthest, lam)
    assert not holds(farthest, 0.99 * lam)
    both_costs(farthest, lam).sum().backward()
    torch.testing.assert_close(both_costs(farthest, lam), by_logarithms(farthest, lam), rtol=1e-12, atol=1e-12)
    assert farthest.grad is not None
    # A path meets every column once, and may meet more rows of the first.
    assert 16 <= farthest.grad.sum() <= 30


def test_many_pairs_give_what_each_gives_alone() -> None:
    distances = randn(5000, 8, 8).abs().clamp_max(2)
    some = [0, 1023, 1024, 4999]
    torch.testing.assert_close(both_costs(distances, 0.1)[some], both_costs(distances[some], 0.1))
    assert both_costs(distances[:0], 0.1).shape == (0,)


def test_videos_too_long_for_it_are_matched_by_logarithms_with_the_same_result() -> None:
    matcher = Otam.Config().build(Shape(level="frame", frames=8, dim=6))
    query, support = randn(2, 9, 6), randn(3, 9, 6, seed=1)
    cosines = torch.einsum("qid,sjd->qsij", query, support)
    norms = torch.einsum("qi,sj->qsij", query.norm(dim=-1), support.norm(dim=-1))
    distances = 1 - cosines / (norms + 0.01)
    assert not holds(distances, 0.1)
    torch.testing.assert_close(matcher.pair_scores(query, support), -by_logarithms(distances))
