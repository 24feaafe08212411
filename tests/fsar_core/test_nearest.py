"""The search for the nearest tuples: exact where they hardly differ, and smooth where they do not differ at all."""

import pytest
import torch

from fsar_core.matchers.nearest import to_nearest
from tests.fsar_core.matcher_cases import randn


def test_a_distance_of_zero_has_the_gradient_zero() -> None:
    rows = torch.zeros(1, 2, 3, requires_grad=True)
    classes = torch.zeros(1, 2, 4, 3, requires_grad=True)
    to_nearest(rows, classes, "neg_l2").sum().backward()
    assert rows.grad is not None
    assert classes.grad is not None
    assert not rows.grad.any()
    assert not classes.grad.any()


@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0])
def test_what_all_tuples_share_does_not_hide_which_is_nearest(offset: float) -> None:
    shared = offset * randn(16, seed=2).abs()
    rows = (shared + 0.1 * randn(2, 5, 16)).float()
    classes = (shared + 0.1 * randn(2, 3, 7, 16, seed=1)).float()
    gaps = (rows.double()[:, :, None, None] - classes.double()[:, None]).norm(dim=-1)
    found = to_nearest(rows, classes, "neg_l2").double()
    torch.testing.assert_close(found, -gaps.amin(-1), rtol=1e-5, atol=1e-6)
