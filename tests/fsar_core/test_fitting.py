"""Backbones that compute again what they did not keep: same numbers, same statistics, less memory."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fsar_core import fitting
from fsar_core.backbones import Backbone, BackboneConfig, Mvit, ResNet, SmallNet
from fsar_core.backbones.recompute import pieces, sees_each_alone
from fsar_core.backbones.trunk import recompute
from fsar_core.config import RunConfig
from fsar_core.execution import Execution
from fsar_core.fitting import fit, fits
from fsar_core.step_cost import StepCost
from fsar_core.train import TrainState, train
from tests.fsar_core import tiny
from tests.fsar_core.backbone_cases import MVIT_2, R3D, VIT, built

RESNET = ResNet.Config(depth=18, weights="none")
BOTTLENECKS = ResNet.Config(depth=50, weights="none")
SMALL = SmallNet.Config(channels=4)
STILL = {"batch_norm": "frozen"}
STEADY = Mvit.Config(weights="none", model="mvit_v2_s", stochastic_depth=0.0)

IN_BLOCKS: list[BackboneConfig] = [RESNET, SMALL, R3D, MVIT_2]
"""Batch statistics or draws join the rows of a batch."""
IN_PARTS: list[BackboneConfig] = [
    RESNET.model_copy(update=STILL),
    SMALL.model_copy(update=STILL),
    VIT,
    STEADY,
]


def passed(backbone: Backbone, frames_at_once: int | None, dtype: torch.dtype) -> dict[str, Tensor]:
    """Two passes in training, as supports and queries make them: maps, gradients, statistics."""
    own = copy.deepcopy(backbone).train().to(dtype)
    recompute(own, frames_at_once)
    drawn = torch.Generator().manual_seed(0)
    videos = [torch.randn(count, 2, 3, 32, 32, generator=drawn).to(dtype).requires_grad_() for count in (1, 2)]
    torch.manual_seed(1)
    maps = torch.cat([own(part) for part in videos])
    (maps * torch.linspace(-1, 1, maps.numel(), dtype=dtype).view_as(maps)).sum().backward()
    grads = {f"grad of {name}": own.grad for name, own in own.named_parameters() if own.grad is not None}
    assert grads
    pixels = {f"pixels {i}": part.grad for i, part in enumerate(videos) if part.grad is not None}
    return {"maps": maps.detach(), **grads, **pixels, **dict(own.named_buffers())}


def kind(config: BackboneConfig) -> str:
    return config.canonical_json()


@pytest.mark.parametrize("config", IN_BLOCKS, ids=kind)
def test_blocks_give_bitwise_the_maps_gradients_and_statistics_of_the_plain_pass(config: BackboneConfig) -> None:
    backbone = built(config).train()
    assert not sees_each_alone(backbone.trunk.layers)
    plain, again = (passed(backbone, size, torch.float64) for size in (None, 2))
    assert plain.keys() == again.keys()
    assert [name for name in plain if not torch.equal(plain[name], again[name])] == []


@pytest.mark.parametrize(
    ("config", "size"), [*((config, 2) for config in IN_PARTS), *((IN_PARTS[1], size) for size in (1, 3, 100))], ids=str
)
def test_parts_give_the_numbers_of_the_plain_pass(config: BackboneConfig, size: int) -> None:
    backbone = built(config).train()
    assert sees_each_alone(backbone.trunk.layers)
    plain, again = (passed(backbone, own, torch.float64) for own in (None, size))
    assert plain.keys() == again.keys()
    for name, own in plain.items():
        torch.testing.assert_close(
            again[name], own, rtol=1e-9, atol=1e-11, msg=lambda text, name=name: f"{name} {text}"
        )


def test_a_pass_is_recorded_once_by_batch_norms() -> None:
    backbone = built(RESNET)
    counts = {name: int(own) for name, own in passed(backbone, 2, torch.float32).items() if "tracked" in name}
    assert set(counts.values()) == {2}


@pytest.mark.parametrize("config", [SMALL, VIT], ids=kind)
def test_nothing_is_recomputed_without_gradients(config: BackboneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = built(config).eval()
    videos = torch.randn(1, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = backbone(videos)
        recompute(backbone, 1)
        monkeypatch.setattr("fsar_core.backbones.recompute.checkpoint", None)
        assert torch.equal(backbone(videos), plain)


@pytest.mark.parametrize(
    ("config", "blocks", "count"), [(RESNET, 8, 9), (BOTTLENECKS, 16, 17), (SMALL, 0, 4), (R3D, 8, 9)], ids=str
)
def test_pieces_are_the_residual_blocks_and_what_stands_before(config: BackboneConfig, blocks: int, count: int) -> None:
    layers = config.build().trunk.layers
    found = pieces(layers)
    assert len(found) == count
    inner = [type(piece[0]).__name__ for piece in found if isinstance(piece, nn.Sequential) and len(piece) == 1]
    assert sum(name in ("BasicBlock", "Bottleneck") for name in inner) == blocks
    convolutions = [own for piece in found for own in modules(piece) if isinstance(own, nn.Conv2d | nn.Conv3d)]
    assert convolutions == [own for own in layers.modules() if isinstance(own, nn.Conv2d | nn.Conv3d)]


def modules(piece: Callable[..., object]) -> list[nn.Module]:
    return list(piece.modules()) if isinstance(piece, nn.Module) else []


def trained(run: RunConfig, execution: Execution) -> dict[str, Tensor]:
    state = tiny.started(run)
    train(state, tiny.clips("train", run.data), tiny.clips("val", run.data), execution, lambda _progress, _state: None)
    return dict(state.method.state_dict())


def shortened(run: RunConfig) -> RunConfig:
    return run.model_copy(update={"training": run.training.model_copy(update={"steps": 3})})


ALWAYS = replace(tiny.CPU, recompute="always", frames_at_once=5)


@pytest.mark.parametrize("name", ["baseline", "sgtm"])
def test_three_steps_of_training_leave_bitwise_the_same_weights_and_statistics(name: str) -> None:
    run = shortened(tiny.run(name))
    plain, again = (trained(run, execution) for execution in (tiny.CPU, ALWAYS))
    assert [name for name in plain if not torch.equal(plain[name], again[name])] == []


@pytest.mark.parametrize("change", [{"batch_norm": "frozen"}, {"frozen": True}], ids=str)
def test_three_steps_with_still_statistics_leave_the_same_weights(change: dict[str, object]) -> None:
    backbone = SmallNet.Config.model_validate(dict(tiny.BACKBONE) | change)
    run = shortened(tiny.recipe().few_shot(tiny.sgtm.baseline(backbone)))
    plain, again = (trained(run, execution) for execution in (tiny.CPU, ALWAYS))
    for key, own in plain.items():
        torch.testing.assert_close(again[key], own, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("always", [False, True])
def test_a_summed_loss_has_the_gradient_of_the_mean_times_the_queries(always: bool) -> None:
    """The learning rate of a code base that sums holds for its number of queries, however a step is carried out."""
    run = tiny.run("baseline")
    summed = run.method.heads[0].model_copy(update={"reduction": "sum"})
    other = run.model_copy(update={"method": run.method.model_copy(update={"heads": (summed,)})})
    mean, total = (gradients(own, ALWAYS if always else tiny.CPU) for own in (run, other))
    for name, own in mean.items():
        torch.testing.assert_close(total[name], 6 * own, rtol=1e-3, atol=1e-6)


def gradients(run: RunConfig, execution: Execution) -> dict[str, Tensor]:
    """Of the first optimiser step."""
    state = tiny.started(run)
    found: dict[str, Tensor] = {}

    def taken(*_: object) -> None:
        found.update({n: p.grad.clone() for n, p in state.method.named_parameters() if p.grad is not None})

    state.optimizer.register_step_pre_hook(taken)
    state.run = run.model_copy(update={"training": run.training.model_copy(update={"steps": 1})})
    train(state, tiny.clips("train"), tiny.clips("val"), execution, lambda _progress, _state: None)
    return found


def room_of_24(_: Execution) -> int:
    return 24 << 30


GPU = Execution(device=torch.device("cuda"))


@pytest.mark.parametrize(
    ("execution", "peak", "chosen"),
    [
        (tiny.CPU, 1 << 50, False),
        (ALWAYS, 0, True),
        (GPU, 20 << 30, False),
        (GPU, 22 << 30, True),
        (replace(GPU, recompute="never"), 1 << 50, False),
    ],
)
def test_a_step_that_would_not_fit_its_gpu_is_recomputed(
    execution: Execution, peak: int, chosen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(*_: object, **__: object) -> StepCost:
        return StepCost(flops=0, peak_bytes=peak, standing_bytes=0)

    monkeypatch.setattr(fitting, "step_cost", counted)
    monkeypatch.setattr(fitting, "room", room_of_24)
    state: TrainState = tiny.started(tiny.run("baseline"))
    assert fit(state.method, state.run, execution, classes=6) == chosen
    expected = execution.frames_at_once if chosen else None
    assert state.method.get_submodule("backbone.trunk").frames_at_once == expected


def test_a_card_needs_room_beside_the_tensors() -> None:
    assert fits(20 << 30, 24 << 30)
    assert not fits(22 << 30, 24 << 30)
