"""Which frames SGTM hides: every strategy on saliencies made by hand."""

import pytest
import torch

from fsar_core.losses.frame_masking import NEEDS_SALIENCY, MaskStrategy, masked_frames, visible_frames

SALIENCY = torch.tensor([[0.3, 0.9, 0.1, 0.7, 0.5, 0.2, 0.8, 0.4]])
"""Frames from high to low: 1 6 3 4 7 0 5 2."""


@pytest.mark.parametrize(
    ("strategy", "masked", "visible"),
    [
        ("ambiguous_visible", 4, [0, 3, 4, 7]),
        ("ambiguous_visible", 2, [0, 3, 4, 5, 6, 7]),
        ("ambiguous_visible", 6, [4, 7]),
        ("top", 4, [0, 2, 5, 7]),
        ("top", 1, [0, 2, 3, 4, 5, 6, 7]),
        ("bottom", 4, [1, 3, 4, 6]),
        ("bottom", 7, [1]),
        ("middle", 4, [1, 2, 5, 6]),
        ("middle", 5, [1, 2, 6]),
        ("middle", 6, [1, 2]),
        ("none", 0, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_each_strategy_keeps_the_frames_worked_out_by_hand(
    strategy: MaskStrategy, masked: int, visible: list[int]
) -> None:
    assert visible_frames(strategy, SALIENCY, masked).tolist() == [visible]


@pytest.mark.parametrize(
    ("strategy", "visible"), [("ambiguous_visible", [2, 3, 4]), ("top", [2, 3, 4, 5, 6]), ("bottom", [0, 1, 2, 3, 4])]
)
def test_equal_saliencies_rank_by_frame_index_also_with_an_odd_number_of_frames(
    strategy: MaskStrategy, visible: list[int]
) -> None:
    masked = 4 if strategy == "ambiguous_visible" else 2
    assert visible_frames(strategy, torch.zeros(3, 7), masked).tolist() == [visible] * 3


@pytest.mark.parametrize("strategy", NEEDS_SALIENCY)
def test_permuting_the_frames_permutes_the_choice(strategy: MaskStrategy) -> None:
    order = torch.tensor([5, 0, 7, 2, 1, 6, 3, 4])
    before = visible_frames(strategy, SALIENCY, 4)[0]
    after = visible_frames(strategy, SALIENCY[:, order], 4)[0]
    assert sorted(order[after].tolist()) == before.tolist()


def test_every_clip_is_ranked_alone() -> None:
    many = torch.rand(16, 8, generator=torch.Generator().manual_seed(0))
    together = visible_frames("ambiguous_visible", many, 4)
    alone = [visible_frames("ambiguous_visible", one[None], 4) for one in many]
    assert torch.equal(together, torch.cat(alone))


def test_random_masks_hide_every_frame_equally_often_and_differ_between_clips() -> None:
    torch.manual_seed(0)
    visible = visible_frames("random", torch.zeros(4000, 8), 2)
    assert visible.shape == (4000, 6)
    assert bool((visible.diff(dim=1) > 0).all())
    counts = torch.bincount(visible.flatten(), minlength=8)
    assert counts.min() > 2850
    assert counts.max() < 3150


def test_random_masks_follow_the_seed_of_the_step() -> None:
    def drawn(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        return visible_frames("random", torch.zeros(20, 8), 4).tolist()

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("strategy", "ratio", "total", "masked"),
    [
        ("ambiguous_visible", 0.25, 8, 2),
        ("ambiguous_visible", 0.5, 8, 4),
        ("ambiguous_visible", 0.75, 8, 6),
        ("ambiguous_visible", 0.5, 4, 2),
        ("ambiguous_visible", 0.5, 7, 4),
        ("ambiguous_visible", 0.5, 5, 2),
        ("random", 0.25, 8, 2),
        ("top", 0.5, 7, 4),
        ("bottom", 0.3, 5, 2),
        ("none", 0.0, 8, 0),
    ],
)
def test_a_ratio_becomes_a_number_of_frames(strategy: MaskStrategy, ratio: float, total: int, masked: int) -> None:
    assert masked_frames(strategy, ratio, total) == masked


@pytest.mark.parametrize("total", range(2, 17))
@pytest.mark.parametrize("strategy", ["top", "random", "ambiguous_visible"])
def test_a_ratio_made_of_a_number_of_frames_gives_that_number(strategy: MaskStrategy, total: int) -> None:
    unit = 2 if strategy == "ambiguous_visible" else 1
    for masked in range(unit, total, unit):
        assert masked_frames(strategy, masked / total, total) == masked


@pytest.mark.parametrize(
    ("strategy", "ratio", "total", "bound"),
    [("ambiguous_visible", 0.9, 8, 0.875), ("top", 0.95, 8, 0.9375), ("ambiguous_visible", 0.8, 4, 0.75)],
)
def test_a_ratio_that_leaves_no_visible_frame_is_refused_with_the_bound(
    strategy: MaskStrategy, ratio: float, total: int, bound: float
) -> None:
    with pytest.raises(ValueError, match=rf"leaves no visible frame of {total}; it must be below {bound}"):
        masked_frames(strategy, ratio, total)
    assert masked_frames(strategy, bound - 1e-6, total) < total


@pytest.mark.parametrize(
    ("strategy", "ratio", "total", "bound"), [("ambiguous_visible", 0.1, 8, 0.125), ("random", 0.05, 8, 0.0625)]
)
def test_a_ratio_that_masks_nothing_is_refused_with_the_bound(
    strategy: MaskStrategy, ratio: float, total: int, bound: float
) -> None:
    with pytest.raises(ValueError, match=rf"masks no frame of {total}; .* 0 or at least {bound}"):
        masked_frames(strategy, ratio, total)
    assert masked_frames(strategy, bound, total) > 0
