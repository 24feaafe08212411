"""Which points of a search are stopped early: ASHA, whose rungs outlive a driver."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from optuna.trial import FrozenTrial, TrialState
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from fsar_core.config import Training
from sweeps.engine.search_study import KEY, TWIN, looks
from sweeps.engine.worker_choice import FirstWaitingAsha

REDUCTION = 3
"""ASHA keeps the best third at every rung."""
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class LastingAsha(FirstWaitingAsha):
    """ASHA (Li et al., 2020) over the points of a study, those of earlier drivers among them.

    Rungs are optimiser steps, that is episodes seen, whatever T, M or method: points that cost more for a step are not
    stopped earlier. A point is judged at a rung by its look at that very step, once; at its last step it is finished,
    and not judged any more.
    """

    def __init__(self, training: Training, before: Iterable[FrozenTrial]) -> None:
        """``before``: all trials of the study."""
        super().__init__(
            time_attr="step",
            metric="val_accuracy",
            mode="max",
            max_t=training.steps + 1,  # at max_t Tune stops a run, which is to end by itself
            grace_period=min(training.val_every, training.steps),
            reduction_factor=REDUCTION,
        )
        self._judged_at = _rungs(training)
        self._judged = set[tuple[str, int]]()
        """Looks that were counted, by trial and step: a worker that dies comes past a step again."""
        self._looks = dict[str, dict[int, float]]()
        """By key, of points that may go on."""
        ended = set[str]()
        for trial in before:
            if KEY in trial.user_attrs and TWIN not in trial.user_attrs:
                key = trial.user_attrs[KEY]
                self._looks.setdefault(key, {}).update(looks(trial))
                if trial.state in _ENDED:
                    ended.add(key)
        for key in ended:
            self._stand_in(_Ended(key), self._looks.pop(key))

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A point that goes on has the rungs behind it that it passed under another driver."""
        super().on_trial_add(tune_controller, trial)
        self._pass(trial, self._looks.get(cast(str, trial.config["key"]), {}))

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Tune would judge a look between rungs, or one that comes again, by a rung long passed."""
        look = (trial.trial_id, result.get("step", 0))
        if look[1] not in self._judged_at or look in self._judged or "val_accuracy" not in result:
            return self.CONTINUE
        self._judged.add(look)
        return super().on_trial_result(tune_controller, trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Its last look is no look at a rung."""
        self.on_trial_remove(tune_controller, trial)

    def _stand_in(self, ended: "_Ended", seen: Mapping[int, float]) -> None:
        trial = cast(Trial, ended)
        ASHAScheduler.on_trial_add(self, cast(Any, None), trial)  # no run that waits for a worker
        self._pass(trial, seen)
        self.on_trial_remove(cast(Any, None), trial)

    def _pass(self, trial: Trial, seen: Mapping[int, float]) -> None:
        for step in sorted(seen):
            self.on_trial_result(None, trial, {"step": step, "val_accuracy": seen[step]})


@dataclass(frozen=True)
class _Ended:
    """What ASHA asks of a trial that has ended."""

    trial_id: str


def _rungs(training: Training) -> frozenset[int]:
    found, step = set[int](), training.val_every
    while step < training.steps:
        found.add(step)
        step *= REDUCTION
    return frozenset(found)
