"""A study as earlier launches left it: found without making one, and held against the space as it is now."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import BaseTrial, FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from search_spaces.table import said
from sweeps.engine.credentials import hide_credentials
from sweeps.engine.search_queue import failed_points
from sweeps.engine.search_study import points, reaching_studies
from sweeps.engine.study_storage import study_storage


def held_study(uri: str, name: str) -> optuna.Study | None:
    """None where there is none; no SQLite file is made. Raises BadRequest where the database cannot be used."""
    with reaching_studies(uri):
        if _without_file(uri):
            return None
        storage = study_storage(uri)
        try:
            return optuna.load_study(storage=storage, study_name=name)
        except KeyError:
            storage.engine.dispose()
            return None


def changed_fault(study: optuna.Study, uri: str, space: Space, recipe: Recipe) -> str | None:
    """Why a search over the space cannot go on with the study; None where it can. ``uri``: of the study's database.

    All of its points must be points of the space, those too that wait or are tried again, and no parameter may have
    changed but in the range of its numbers: Optuna allows nothing else within one study. A point that waits may also be
    one that the space refuses, as a search does when it asks for it.
    """
    reason = _changed(study, space, recipe)
    if reason is None:
        return None
    ended = f"optuna delete-study --storage {hide_credentials(uri)} --study-name {study.study_name}"
    return (
        f"the space {space.name} must be the one that study {study.study_name} was begun with, but {reason}; search "
        f"with the space of then, name another study_uri in the site file, or end this study with `{ended}`: what it "
        "trained stays recorded"
    )


def _changed(study: optuna.Study, space: Space, recipe: Recipe) -> str | None:
    now: dict[str, BaseDistribution] = {}

    def heard(trial: BaseTrial, own: Recipe) -> RunConfig:
        run = space.define(trial, own)
        now.update(trial.distributions)
        return run

    waiting = _waiting(study)
    for number, point in [*_begun(study), *waiting]:
        try:
            replace(space, define=heard).run(point, recipe)
        except (ValueError, optuna.TrialPruned) as error:
            if isinstance(error, optuna.TrialPruned) and (number, point) in waiting:
                continue
            reason = said(error) if isinstance(error, ValueError) else str(error)
            return f"its trial {number} is no point of it now: {reason.partition(' Please')[0]}"
    return _other_kind(study.get_trials(deepcopy=False), now)


def _begun(study: optuna.Study) -> Sequence[tuple[int, Point]]:
    """By number of the trial, the points that a search still uses."""
    return [(trial.number, trial.params) for trial in (*points(study), *failed_points(study))]


def _waiting(study: optuna.Study) -> Sequence[tuple[int, Point]]:
    """As ``_begun``, of points that it has yet to ask for."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [(trial.number, trial.system_attrs.get("fixed_params", {})) for trial in waiting]


def _other_kind(trials: Sequence[FrozenTrial], now: dict[str, BaseDistribution]) -> str | None:
    for trial in trials:
        for name, before in trial.distributions.items():
            try:
                check_distribution_compatibility(before, now.get(name, before))
            except ValueError:
                return f"its parameter {name} was {before} and is {now[name]}"
    return None


def _without_file(uri: str) -> bool:
    """Whether it is an SQLite file that Optuna would make."""
    url = make_url(uri)
    if url.get_backend_name() != "sqlite" or not url.database:
        return False
    file = Path(url.database)
    return file.parent.is_dir() and not file.exists()
