"""Studies as a search leaves them, without any training: accuracies are formulas of the parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from search_spaces.table import Table
from sweeps.engine.search_study import KEY, LOOKS, TWIN

Ask = Callable[[optuna.Trial], float]
"""Asks for the parameters of a point and gives its val accuracy without noise."""

PAPER = {"region": "saliency", "masked": 4, "lambda": 0.5}


def plain(trial: optuna.Trial) -> float:
    """Three parameters; the number of masked frames matters most, lambda hardly."""
    region = trial.suggest_categorical("region", ["saliency", "top", "bottom", "random"])
    masked, weight = trial.suggest_int("masked", 1, 7), trial.suggest_float("lambda", 0.0, 1.0, step=0.05)
    return 0.6 - 0.006 * (masked - 4) ** 2 + 0.02 * (region == "saliency") - 0.01 * abs(weight - 0.35)


def conditional(trial: optuna.Trial) -> float:
    """A parameter of its own for each of two methods."""
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    value = 0.6 - 0.03 * abs(np.log10(rate) + 2)
    if trial.suggest_categorical("method", ["sgtm", "trx"]) == "sgtm":
        return value + 0.05 - 0.1 * abs(trial.suggest_float("lambda", 0.0, 1.0) - 0.35)
    return value - 0.05 * abs(trial.suggest_int("cardinality", 1, 4) - 2)


def make_study(points: int, ask: Ask = plain, *, first: Mapping[str, Any] = PAPER, cost: bool = False) -> optuna.Study:
    """``points`` finished or stopped ones: of every four after the fourth, one is stopped at step 100 if it is weak.

    With ``cost``: GFLOPs, which grow with accuracy.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions: list[StudyDirection] = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][: 1 + cost]
    study = optuna.create_study(
        directions=directions, sampler=optuna.samplers.RandomSampler(seed=1), study_name="made/hmdb51-1234"
    )
    for key, value in {"space": "made", "dataset": "hmdb51", "cost": "gflops" if cost else None}.items():
        study.set_user_attr(key, value)
    study.enqueue_trial(dict(first))
    rng = np.random.default_rng(0)
    for number in range(points):
        trial = study.ask()
        value = ask(trial) + float(rng.normal(0, 0.006))
        trial.set_user_attr(KEY, f"{number:032x}")
        if number > 3 and number % 4 == 0:
            stop(study, trial, value - 0.1, cost=cost)
        else:
            finish(study, trial, value, cost=cost)
    return study


def _never(*_: object) -> RunConfig:
    raise AssertionError("lessons make no run")


def _no_grid(_: Recipe) -> Table:
    raise AssertionError("lessons make no table")


def made_space(first: Point = PAPER, printed: tuple[str, ...] = ()) -> Space:
    """A space of these names; ``first``: the paper's setting."""
    return Space(name="made", define=_never, first=(first,) if first else (), grid=_no_grid, printed=printed)


def finish(study: optuna.Study, trial: optuna.Trial, value: float, *, cost: bool = False) -> None:
    """Two looks and a result."""
    _look(trial, {100: value - 0.1, 200: value}, cost=cost)
    gflops = round(20 + 4 * trial.number % 17 + 300 * max(0.0, value - 0.5), 1)
    study.tell(trial, [value, gflops] if cost else value)


def stop(study: optuna.Study, trial: optuna.Trial, value: float, *, cost: bool = False) -> None:
    """One look and no result."""
    _look(trial, {100: value}, cost=cost)
    study.tell(trial, state=TrialState.PRUNED)


def add_twin(study: optuna.Study, of: FrozenTrial) -> None:
    """A point that was proposed again."""
    values = of.values
    attrs = {KEY: of.user_attrs[KEY], TWIN: of.number}
    study.add_trial(create_trial(params=of.params, distributions=of.distributions, values=values, user_attrs=attrs))


def _look(trial: optuna.Trial, seen: dict[int, float], *, cost: bool) -> None:
    if cost:
        trial.set_user_attr(LOOKS, seen)
        return
    for step, value in seen.items():
        trial.report(value, step)
