"""Parameter groups and learning-rate schedules, against values worked out by hand."""

import math

import pytest
import torch
from torch import nn

from fsar_core.optimizer import Cosine, OptimizerConfig, Steps
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny


def groups(config: OptimizerConfig, name: str = "sgtm") -> dict[str, tuple[float, float]]:
    """(base rate, weight decay) by parameter name."""
    method = tiny.started(tiny.run(name)).method
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    return {
        names[id(parameter)]: (group["base_lr"], group["weight_decay"])
        for group in config.build(method).param_groups
        for parameter in group["params"]
    }


def is_norm(name: str) -> bool:
    return "norm" in name or ".bn" in name


def test_every_trainable_parameter_is_in_one_group_and_a_frozen_one_in_none() -> None:
    method = tiny.started(tiny.run("sgtm")).method
    optimizer = OptimizerConfig(lr=1.0).build(method)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in method.parameters() if parameter.requires_grad}
    assert not [name for name in groups(OptimizerConfig(lr=1.0)) if name.startswith("losses.0.guide.")]


def test_only_parameters_of_normalisation_layers_are_not_decayed() -> None:
    found = groups(OptimizerConfig(lr=1.0, weight_decay=0.1))
    assert {name for name, (_, decay) in found.items() if decay == 0} == {name for name in found if is_norm(name)}
    assert {decay for _, decay in found.values()} == {0.0, 0.1}


def test_everything_but_the_backbone_gets_the_head_factor() -> None:
    found = groups(OptimizerConfig(lr=0.2, head_lr_mult=5.0))
    assert {name for name, (lr, _) in found.items() if lr == 0.2} == {n for n in found if n.startswith("backbone.")}
    assert {lr for lr, _ in found.values()} == {0.2, 1.0}


def test_sgd_takes_its_momentum_and_adam_refuses_one() -> None:
    assert OptimizerConfig(kind="sgd", lr=1.0, momentum=0.9).build(nn.Linear(1, 1)).param_groups[0]["momentum"] == 0.9
    with pytest.raises(ValueError, match=r"with 'adam' it must be 0, got 0\.9"):
        OptimizerConfig(lr=1.0, momentum=0.9)


def test_weight_decay_is_coupled_to_the_gradient_as_in_the_code_base() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = OptimizerConfig(lr=0.1, weight_decay=0.5).build(layer)
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimizer.step()
    # Adam's first step is lr * g / |g|, whatever the size of g = 0.5 * 2
    assert layer.weight.item() == pytest.approx(1.9, abs=1e-6)


def test_a_stepped_schedule_warms_up_linearly_and_drops_after_its_steps() -> None:
    schedule = Steps(warmup_steps=4, warmup_start=0.2, drops=((6, 0.1), (8, 0.01)))
    assert [schedule.factor(step, 10) for step in range(1, 11)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    )


def test_without_warm_up_and_drops_the_rate_stays() -> None:
    assert {Steps().factor(step, 5) for step in range(1, 6)} == {1.0}


@pytest.mark.parametrize("drops", [((5, 0.1), (3, 0.01)), ((5, 0.1), (5, 0.01)), ((5, -0.1),)])
def test_drops_that_do_not_ascend_or_are_negative_are_refused(drops: tuple[tuple[int, float], ...]) -> None:
    with pytest.raises(ValueError, match="drops must ascend in step"):
        Steps(drops=drops)


def test_a_cosine_starts_at_one_after_the_warm_up_and_never_wastes_a_step() -> None:
    factors = [Cosine(warmup_steps=3).factor(step, 7) for step in range(1, 8)]
    half = math.sqrt(0.5)
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.5 + half / 2, 0.5, 0.5 - half / 2])
    assert Cosine().factor(11, 10) == pytest.approx(0.0)


def test_the_rate_of_every_group_follows_the_schedule() -> None:
    schedule = Steps(warmup_steps=2, warmup_start=0.5, drops=((4, 0.1),))
    optimizer = OptimizerConfig(lr=0.01, head_lr_mult=3.0)
    config = tiny.run("baseline").model_copy(update={"optimizer": optimizer, "schedule": schedule})
    rates: list[tuple[float, set[float]]] = []

    def report(progress: Progress, state: TrainState) -> None:
        rates.append((progress.lr, {round(group["lr"], 9) for group in state.optimizer.param_groups}))

    train(tiny.started(config), tiny.clips("train"), tiny.clips("val"), tiny.CPU, report)
    factors = [0.5, 0.75, 1.0, 1.0, 0.1, 0.1]
    assert [rate for rate, _ in rates] == pytest.approx([0.01 * factor for factor in factors])
    assert [own for _, own in rates] == [{round(0.01 * f, 9), round(0.03 * f, 9)} for f in factors]
