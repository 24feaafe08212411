"""Spaces of made-up runs, and trainings that end at once."""

from collections.abc import Callable
from typing import Any

import optuna
from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from sweeps.engine.job import Job
from sweeps.engine.records import Store
from sweeps.engine.search import StudySearcher
from tests.sweeps.made_plans import FIRST, made_table, needing
from tests.sweeps.made_records import run_config, write_run


def plain(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_float("lam", 0.1, 1.0))


def coarse(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_categorical("lam", [0.1, 0.2, 0.3]))


def single(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_categorical("lam", [0.1]))


def dependent(trial: BaseTrial, own: Recipe) -> RunConfig:
    return needing(plain(trial, own), FIRST)


def finish(searcher: StudySearcher, store: Store, trial_id: str, given: dict[str, Any]) -> None:
    """As if the run had been trained to its end."""
    write_run(store, Job.model_validate_json(given["job"]).run)
    searcher.on_trial_complete(trial_id, {"failed": False})


def made_space(define: Callable[[BaseTrial, Recipe], RunConfig] = plain, *first: Point) -> Space:
    return Space(name="made", define=define, first=first, grid=lambda _: made_table())


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]
