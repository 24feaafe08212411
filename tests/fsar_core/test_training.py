"""Training: the same config gives the same weights, however often it is killed."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fsar_core.checkpoint import latest_checkpoint, selected_weights
from fsar_core.config import RunConfig
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny


class Killed(Exception):  # noqa: N818 - what happens to the training in these tests
    """Stands for the end of the process."""


def trained(config: RunConfig, folder: Path, *, kill_at: int | None = None) -> TrainState:
    """From the newest checkpoint in ``folder`` to the end, or to a kill right after a step was saved."""

    def report(progress: Progress, state: TrainState) -> None:
        seen.append(progress)
        state.save(folder, {"seen": progress.step})
        if progress.step == kill_at:
            raise Killed

    seen: list[Progress] = []
    torch.manual_seed(12345)  # whatever the process did before must not matter
    state = tiny.started(config)
    state.resume(folder)
    train(state, tiny.clips("train", config.data), tiny.clips("val", config.data), tiny.CPU, report)
    return state


def assert_bitwise_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainState:
    return trained(tiny.run(), tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("kills", [(1,), (2,), (3,), (5,), (1, 2, 4)])
def test_a_killed_and_resumed_run_has_bitwise_the_weights_of_an_uninterrupted_one(
    kills: tuple[int, ...], tmp_path: Path, whole: TrainState
) -> None:
    for step in kills:
        with pytest.raises(Killed):
            trained(tiny.run(), tmp_path, kill_at=step)
        torch.rand(7)
    resumed = trained(tiny.run(), tmp_path)
    assert_bitwise_equal(dict(resumed.method.state_dict()), dict(whole.method.state_dict()))
    assert_bitwise_equal(resumed.selected(), whole.selected())
    assert (resumed.best_step, resumed.best_val) == (whole.best_step, whole.best_val)
    mine, theirs = (state.optimizer.state_dict()["state"] for state in (resumed, whole))
    assert mine.keys() == theirs.keys()
    for parameter in mine:
        assert_bitwise_equal(mine[parameter], theirs[parameter])


def test_another_seed_gives_other_weights(tmp_path: Path, whole: TrainState) -> None:
    other = trained(tiny.run().with_seed(1), tmp_path)
    assert not torch.equal(
        other.method.state_dict()["steps.matching.transformer.norm.weight"],
        whole.method.state_dict()["steps.matching.transformer.norm.weight"],
    )


def test_the_best_look_at_val_is_what_is_selected(tmp_path: Path) -> None:
    looks: dict[int, float] = {}
    weights: dict[int, Tensor] = {}

    def report(progress: Progress, state: TrainState) -> None:
        if progress.val_accuracy is not None:
            looks[progress.step] = progress.val_accuracy
            weights[progress.step] = state.method.state_dict()["backbone.trunk.layers.conv1.weight"].clone()
        state.save(tmp_path, {})

    state = tiny.started(tiny.run())
    train(state, tiny.clips("train"), tiny.clips("val"), tiny.CPU, report)
    assert list(looks) == [2, 4, 6]
    best = max(looks, key=lambda step: (looks[step], -step))
    assert (state.best_step, state.best_val) == (best, looks[best])
    checkpoint = latest_checkpoint(tmp_path)
    assert checkpoint is not None
    torch.testing.assert_close(
        selected_weights(checkpoint)["backbone.trunk.layers.conv1.weight"], weights[best], rtol=0, atol=0
    )


def test_one_checkpoint_is_kept_and_a_half_written_one_is_ignored(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(tiny.run(), tmp_path, kill_at=3)
    (tmp_path / ".half").mkdir()
    (tmp_path / ".half" / "weights.safetensors").write_bytes(b"cut")
    state = tiny.started(tiny.run())
    assert state.resume(tmp_path) == {"seen": 3}
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000003"]


def test_a_loss_that_is_not_finite_names_run_step_and_terms(tmp_path: Path) -> None:
    config = tiny.run()
    state = tiny.started(config)
    with torch.no_grad():
        state.method.get_parameter("steps.matching.transformer.norm.weight").fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=rf"{config.run_id()}, step 1: .*otam_0.*masked_reconstruction"):
        train(state, tiny.clips("train"), tiny.clips("val"), tiny.CPU, lambda _progress, _state: None)


def test_accumulated_episodes_give_the_gradient_of_their_mean() -> None:
    config = tiny.run("baseline")
    state = tiny.started(config)
    before = {name: value.clone() for name, value in state.method.named_parameters()}
    gradients: dict[str, Tensor] = {}

    def step(*_: object) -> None:
        gradients.update({n: p.grad.clone() for n, p in state.method.named_parameters() if p.grad is not None})

    state.optimizer.register_step_pre_hook(step)
    one = config.model_copy(update={"training": config.training.model_copy(update={"steps": 1})})
    state.run = one
    train(state, tiny.clips("train"), tiny.clips("val"), tiny.CPU, lambda _progress, _state: None)
    sums = _plain_gradients(config, before)
    for name, value in sums.items():
        torch.testing.assert_close(gradients[name], value / 2, rtol=1e-4, atol=1e-6)


def _plain_gradients(config: RunConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Summed gradients of the step's two episodes, each in a method of its own."""
    from fsar_core.batches import EpisodeStream
    from fsar_core.seeds import derived_seed

    sums: dict[str, Tensor] = {}
    stream = EpisodeStream(config, tiny.clips("train"), tiny.clips("val"), torch.device("cpu"))
    for i, episode in enumerate(stream.of_step(1)):
        method = tiny.started(config).method.train()
        method.load_state_dict(weights, strict=False)
        torch.manual_seed(derived_seed(config.seed, "training pass", 1, i))
        method(episode).total.backward()
        for name, parameter in method.named_parameters():
            assert parameter.grad is not None
            sums[name] = sums.get(name, torch.zeros_like(parameter)) + parameter.grad
    return sums
