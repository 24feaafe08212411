"""Which run gets a worker that has become free, where trials of Tune's are made up."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import ray
from ray.tune.experiment import Trial

from sweeps.engine.worker_choice import FirstWaiting, FirstWaitingAsha

ROOM = {"CPU": 4.0, "GPU": 1.0, "memory": 1e9}
PENDING, RUNNING, TERMINATED = Trial.PENDING, Trial.RUNNING, Trial.TERMINATED


def made(name: str, status: str, **asks: float) -> Trial:
    group = SimpleNamespace(required_resources=asks or {"CPU": 1, "GPU": 0})
    return cast(Trial, SimpleNamespace(trial_id=name, status=status, placement_group_factory=group))


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> FirstWaiting:
    monkeypatch.setattr(ray, "cluster_resources", lambda: ROOM)
    return FirstWaiting()


def chosen(scheduler: FirstWaiting, *trials: Trial) -> str | None:
    controller: Any = None
    for trial in trials:
        scheduler.on_trial_add(controller, trial)
    first = scheduler.choose_trial_to_run(controller)
    return first and first.trial_id


def test_a_run_whose_own_worker_starts_is_left_alone(scheduler: FirstWaiting) -> None:
    starting = [made(f"starts {i}", PENDING) for i in range(3)]
    assert chosen(scheduler, *starting[:1], made("runs", RUNNING), *starting[1:]) is None
    assert chosen(scheduler, made("waits", PENDING), made("waits too", PENDING)) == "waits"


def test_a_run_that_has_ended_gives_its_place_to_the_next(scheduler: FirstWaiting) -> None:
    runs = [made(f"runs {i}", RUNNING) for i in range(4)]
    waits, next_one = made("waits", PENDING), made("next", PENDING)
    assert chosen(scheduler, *runs, waits, next_one) == "waits"
    runs[2].status = TERMINATED
    assert chosen(scheduler) == "next", "the first has what the ended one had"
    waits.status = RUNNING
    assert chosen(scheduler) == "next"


def test_fractions_of_a_gpu_are_counted_as_ray_does(scheduler: FirstWaiting) -> None:
    tenths = [made(f"runs {i}", RUNNING, CPU=0.1, GPU=0.1) for i in range(9)]
    assert chosen(scheduler, *tenths, made("starts", PENDING, CPU=0.1, GPU=0.1)) is None
    assert chosen(scheduler, made("waits", PENDING, CPU=0.1, GPU=0.1)) == "waits"


def test_a_run_whose_worker_died_is_the_last_again(scheduler: FirstWaiting) -> None:
    died = made("died", RUNNING)
    others = [made(f"waits {i}", PENDING) for i in range(5)]
    assert chosen(scheduler, died, *others) == "waits 3"
    died.status = PENDING
    assert chosen(scheduler, died) == "waits 4", "four start, none of them the one that died"
    assert chosen(scheduler) == "waits 4"


def test_no_run_is_kept_that_has_ended(scheduler: FirstWaiting) -> None:
    ended = [made(f"ended {i}", TERMINATED) for i in range(3)]
    assert chosen(scheduler, *ended) is None
    for trial in ended:
        trial.status = PENDING  # Tune would tell of it
    assert chosen(scheduler, *(made(f"starts {i}", PENDING) for i in range(4))) is None


def test_a_cluster_that_grows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    room, now = dict(ROOM), [0.0]
    monkeypatch.setattr(ray, "cluster_resources", lambda: dict(room))
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    scheduler = FirstWaiting()
    assert chosen(scheduler, *(made(f"starts {i}", PENDING) for i in range(5))) == "starts 4"
    room["CPU"] = 5.0
    now[0] = 6.0
    assert chosen(scheduler) is None


def test_asha_still_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: ROOM)
    asha = FirstWaitingAsha(time_attr="step", metric="val_accuracy", mode="max", max_t=9, grace_period=1)
    good, bad = made("good", RUNNING), made("bad", RUNNING)
    assert chosen(asha, good, bad) is None
    controller: Any = None
    assert asha.on_trial_result(controller, good, {"step": 1, "val_accuracy": 0.9}) == FirstWaiting.CONTINUE
    assert asha.on_trial_result(controller, bad, {"step": 1, "val_accuracy": 0.1}) == FirstWaiting.STOP
