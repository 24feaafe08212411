"""Counted steps against counts by hand, and against tensors that were really there."""

import pytest
import torch

from fsar_core.backbones import ResNet
from fsar_core.config import RunConfig
from fsar_core.cost import measure
from fsar_core.methods import all_methods, frame_matching
from fsar_core.optimizer import OptimizerConfig
from fsar_core.precision import Precision
from fsar_core.step_cost import step_cost
from tests.fsar_core import tiny

RUN = tiny.recipe().few_shot(frame_matching.otam(tiny.BACKBONE))
BROAD = tiny.BACKBONE.model_copy(update={"channels": 32})
WIDE = tiny.recipe(crop=64).few_shot(frame_matching.otam(BROAD))
CLIPS, CLASSES = 3 * (1 + 2), 6


def forward_flops(run: RunConfig) -> int:
    """Of the two episodes of a step."""
    return 2 * measure(run, way=3, shot=1, queries=2, classes=CLASSES).flops_per_episode


def first_layer_flops() -> int:
    """Five channels, with coordinates, of 5 x 5 pixels to four maps of 8 x 8: its pixels get no gradient."""
    return 2 * CLIPS * tiny.FRAMES * 2 * 5 * 25 * 4 * 64


def test_a_step_is_three_forward_passes_but_for_the_gradient_of_the_pixels() -> None:
    assert step_cost(RUN, classes=CLASSES).flops == 3 * forward_flops(RUN) - first_layer_flops()


def test_recomputing_adds_a_forward_pass_of_the_backbone() -> None:
    plain, again = (step_cost(RUN, classes=CLASSES, frames_at_once=size).flops for size in (None, 4))
    method = tiny.started(RUN).method.backbone
    convolutions = [own for own in method.modules() if isinstance(own, torch.nn.Conv2d)]
    cells = (64, 16, 4, 1)
    backbone = sum(2 * own.weight.numel() * count for own, count in zip(convolutions, cells, strict=True))
    assert again - plain == 2 * CLIPS * tiny.FRAMES * backbone


@pytest.mark.parametrize(("kind", "copies"), [("adam", 4), ("sgd", 2)])
def test_weights_gradients_and_the_optimisers_state_stand(kind: str, copies: int) -> None:
    optimizer = OptimizerConfig.model_validate({"kind": kind, "lr": 1e-3})
    run = RUN.model_copy(update={"optimizer": optimizer})
    method = tiny.started(run).method
    trained = sum(4 * own.numel() for own in method.parameters())
    buffers = sum(own.nbytes for own in method.buffers())
    assert step_cost(run, classes=CLASSES).standing_bytes == pytest.approx(copies * trained + buffers, rel=0.01)


def passing(run: RunConfig, frames_at_once: int | None = None, precision: Precision = "fp32") -> int:
    """Bytes of clips and of what is kept of them."""
    cost = step_cost(run, precision=precision, frames_at_once=frames_at_once, classes=CLASSES)
    return cost.peak_bytes - cost.standing_bytes


def test_what_is_kept_grows_with_the_clips() -> None:
    batches = WIDE.batches.model_copy(update={"queries": 5})
    wider = WIDE.model_copy(update={"batches": batches})
    assert passing(wider) / passing(WIDE) == pytest.approx(2, rel=0.1)  # 18 clips, not 9


def test_a_deep_backbone_whose_blocks_are_computed_again_needs_less() -> None:
    run = tiny.recipe(crop=64).few_shot(frame_matching.otam(ResNet.Config(depth=18, weights="none")))
    assert passing(run, 64) < 0.75 * passing(run)


def test_frames_that_do_not_see_each_other_need_the_least() -> None:
    still = BROAD.model_copy(update={"batch_norm": "frozen"})
    run = tiny.recipe(crop=64).few_shot(frame_matching.otam(still))
    sizes = [passing(run, size) for size in (None, 36, 4)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < 0.5 * sizes[0]


def test_half_precision_keeps_less() -> None:
    full, half = passing(WIDE), passing(WIDE, precision="bf16")
    assert 0.4 < half / full < 0.8


@pytest.mark.parametrize("name", list(all_methods()))
def test_every_method_can_be_counted(name: str) -> None:
    method = all_methods()[name]
    recipe = tiny.recipe(crop=64)
    run = method.run(recipe, next(iter(method.variants.values()))(recipe.backbone))
    cost = step_cost(run, precision="bf16", frames_at_once=8, classes=CLASSES)
    assert cost.flops > 3 * 2 * measure(run, way=3, shot=1, queries=2, classes=CLASSES).flops_per_episode
    assert 0 < cost.standing_bytes < cost.peak_bytes


def test_class_scores_on_a_frozen_backbone_do_not_pass_it() -> None:
    run = tiny.recipe().class_scores(tiny.sgtm.score_layers(tiny.BACKBONE))
    moving = RunConfig.model_validate(dict(run) | {"data": tiny.data()})
    assert step_cost(run, classes=CLASSES).flops < step_cost(moving, classes=CLASSES).flops
    assert run.batches.kind == "clips"
