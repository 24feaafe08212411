"""Items made ahead are the same in the same order; errors and ends reach both sides."""

import threading
from collections.abc import Callable, Iterator
from itertools import count, islice

import pytest
import torch
from torch import Tensor

from fsar_core.config import RunConfig
from fsar_core.execution import Execution
from fsar_core.prefetch import Ahead
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny

DEPTHS = [0, 1, 2, 5]


def threads() -> list[str]:
    return [own.name for own in threading.enumerate() if own.name == "prefetch"]


def watched(made: list[int], started: Callable[[int], None] = lambda _: None) -> Iterator[int]:
    for i in count():
        started(i)
        made.append(i)
        yield i


@pytest.mark.parametrize("depth", DEPTHS)
def test_items_come_in_their_order_and_end(depth: int) -> None:
    with Ahead(iter(range(20)), depth) as ahead:
        assert list(ahead) == list(range(20))
        assert list(ahead) == []
    assert threads() == []


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_more_are_made_than_asked_for(depth: int) -> None:
    made: list[int] = []
    enough = threading.Event()

    def started(i: int) -> None:
        if i == 3 + depth - 1:
            enough.set()

    with Ahead(watched(made, started), depth) as ahead:
        assert list(islice(ahead, 3)) == [0, 1, 2]
        assert enough.wait(10)
    assert len(made) == 3 + depth


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_error_is_raised_where_its_item_is_asked_for(depth: int) -> None:
    def broken() -> Iterator[int]:
        yield 0
        yield 1
        raise OSError("the third clip is gone")

    with Ahead(broken(), depth) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
        with pytest.raises(OSError, match="third clip"):
            next(ahead)
    assert threads() == []


@pytest.mark.parametrize("depth", DEPTHS)
def test_leaving_in_the_middle_ends_the_thread(depth: int) -> None:
    def killed(ahead: Ahead[int]) -> None:
        with ahead:
            next(ahead)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed(Ahead(count(), depth))
    assert threads() == []


def test_nothing_is_made_in_a_pause() -> None:
    began = [threading.Event(), threading.Event()]

    def started(i: int) -> None:
        if i < len(began):
            began[i].set()

    with Ahead(watched([], started), 1) as ahead:
        assert began[0].wait(10)
        with ahead.paused():
            assert next(ahead) == 0  # frees a place for the next one
            assert not began[1].wait(0.05)
        assert began[1].wait(10)
        assert next(ahead) == 1


def losses_and_weights(run: RunConfig, depth: int) -> tuple[list[Progress], dict[str, Tensor]]:
    seen: list[Progress] = []
    state = tiny.started(run)
    execution = Execution(device=torch.device("cpu"), prefetch=depth)
    train(state, tiny.clips("train", run.data), tiny.clips("val", run.data), execution, lambda p, _: seen.append(p))
    return seen, dict(state.method.state_dict())


@pytest.mark.parametrize("kind", ["episodes", "clips"])
def test_a_training_is_bitwise_the_same_however_many_batches_are_ready(kind: str) -> None:
    scores = tiny.recipe().class_scores(tiny.sgtm.score_layers(tiny.BACKBONE))
    run = tiny.run() if kind == "episodes" else RunConfig.model_validate(dict(scores) | {"data": tiny.data()})
    plain, weights = losses_and_weights(run, 0)
    for depth in (1, 3):
        seen, others = losses_and_weights(run, depth)
        assert seen == plain
        assert [name for name in weights if not torch.equal(weights[name], others[name])] == []


def test_a_clip_that_cannot_be_drawn_ends_the_training_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny.clips("train")
    draw, drawn = source.train_videos, list[int]()

    def third_fails(*given: object) -> Tensor:
        drawn.append(1)
        if len(drawn) == 5:
            raise OSError("clip made/3 is gone")
        return draw(*given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(source, "train_videos", third_fails)
    steps: list[int] = []

    def report(progress: Progress, _: TrainState) -> None:
        steps.append(progress.step)

    with pytest.raises(OSError, match="made/3 is gone"):
        train(tiny.started(tiny.run("baseline")), source, tiny.clips("val"), tiny.CPU, report)
    assert steps == [1, 2]  # the fifth episode is the first one of step 3
    assert threads() == []
