"""Which run gets a worker that has become free."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import ray
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

_SECONDS_BETWEEN_LOOKS = 5.0
"""At what the cluster has, which may grow."""
_SLACK = 1e-6
"""Of sums of fractions of a GPU."""


class FirstWaiting(FIFOScheduler):
    """Gives a free worker to the first run that waits for resources.

    Tune by itself gives it to the oldest run that has not begun, and ends the worker that is about to have started for
    that one. Where runs are shorter than starts, slots then never fill. It also looks through all runs there ever were.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._live: dict[str, Trial] = {}
        self._there: Mapping[str, float] = {}
        self._looked = -_SECONDS_BETWEEN_LOOKS

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Of a run that is new, or whose worker died: that one is the last again."""
        super().on_trial_add(tune_controller, trial)
        self._live.pop(trial.trial_id, None)
        self._live[trial.trial_id] = trial

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first for which nothing is left once those before it have what they ask for; None where there is none."""
        live = {Trial.RUNNING: list[Trial](), Trial.PENDING: list[Trial]()}
        for trial in self._live.values():
            if trial.status in live:
                live[trial.status].append(trial)
        self._live = {own.trial_id: own for status in live for own in live[status]}
        left = Counter(self._resources())
        for trial in live[Trial.RUNNING]:
            left.subtract(_asks(trial))
        for trial in live[Trial.PENDING]:
            if any(left[what] + _SLACK < ask for what, ask in _asks(trial).items()):
                return trial
            left.subtract(_asks(trial))
        return None

    def _resources(self) -> Mapping[str, float]:
        if time.monotonic() - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._there, self._looked = ray.cluster_resources(), time.monotonic()
        return self._there


def _asks(trial: Trial) -> dict[str, float]:
    asks = cast(PlacementGroupFactory, trial.placement_group_factory)
    return {what: ask for what, ask in asks.required_resources.items() if ask}


class FirstWaitingAsha(FirstWaiting, ASHAScheduler):
    """ASHA that stops runs as ever, with that choice."""
