"""A study: how it is opened, and what its trials say. Whoever reads a study reads it through this file."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import cast

import optuna
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from search_spaces.space import Cost, Space
from sweeps.engine.credentials import hide_credentials
from sweeps.engine.failures import StudyLostError
from sweeps.engine.search_asked import Sampler
from sweeps.engine.search_samplers import sampler_of
from sweeps.engine.site import BadRequest
from sweeps.engine.study_storage import study_storage

KEY = "run"
"""User attribute of a trial: the key of its run in the store."""
TWIN = "same_as"
"""User attribute of a trial that proposed a point again: the number of the first one. It is not trained."""
RECORDED = "recorded"
"""User attribute of a trial whose run was recorded before the study asked for it: told at once, outside the budget."""
REFUSED = "refused"
"""User attribute of a trial whose point the space could not make a run of: why. It is no point of the study."""
AGAIN = "again_of"
"""User attribute of a trial that tries a failed point again: the number of the failed one."""
LOOKS = "looks"
"""User attribute of a trial with two objectives, where Optuna refuses looks: val accuracy by optimiser step."""


def open_study(
    uri: str, name: str, space: Space, dataset: str, *, sampler: Sampler = "tpe", cost: Cost | None = None
) -> optuna.Study:
    """The study of this name, made if it is new, with the space's first points waiting in front.

    Val accuracy is maximized, and with ``cost`` that is minimized. The sampler's seed is the number of trials there
    are: a driver that goes on does not draw the same points again. Raises BadRequest where the database cannot be used,
    or the study has been opened with another cost.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [StudyDirection.MAXIMIZE, *([StudyDirection.MINIMIZE] if cost else [])]
    with reaching_studies(uri):
        study = optuna.create_study(
            storage=study_storage(uri), study_name=name, load_if_exists=True, directions=directions
        )
        known = study.user_attrs
        if known.get("cost", cost) != cost or len(study.directions) != len(directions):
            fault = f"study {name} weighs accuracy against {known.get('cost') or 'no cost'}, not {cost or 'no cost'}"
            raise BadRequest([f"{fault}; search with --cost {known.get('cost') or 'none'}"])
        for key, value in {"space": space.name, "dataset": dataset, "cost": cost}.items():
            if key not in known:
                study.set_user_attr(key, value)
        study.sampler = sampler_of(sampler, len(study.get_trials(deepcopy=False)))
        for point in space.first:
            study.enqueue_trial(dict(point), skip_if_exists=True)
    return study


def points(study: optuna.Study) -> list[FrozenTrial]:
    """Finished, stopped or at work; each point once, recorded ones included; in the order of the trials."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    known = study.get_trials(deepcopy=False, states=states)
    return [trial for trial in known if KEY in trial.user_attrs and TWIN not in trial.user_attrs]


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that a budget counts: finished, stopped early or at work; neither twins nor recorded ones."""
    return [trial for trial in points(study) if RECORDED not in trial.user_attrs]


def done(study: optuna.Study) -> list[FrozenTrial]:
    """Those of ``counted`` that are not at work."""
    return [trial for trial in counted(study) if trial.state is not TrialState.RUNNING]


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Points trained to their end, each once, recorded ones included; the best on val first."""
    return _ranked(trial for trial in points(study) if trial.state is TrialState.COMPLETE)


def stopped(study: optuna.Study) -> list[FrozenTrial]:
    """Points stopped early, those with the best last look first. They have no result."""
    return _ranked(trial for trial in points(study) if trial.state is TrialState.PRUNED)


def best_first(study: optuna.Study) -> list[FrozenTrial]:
    """Finished points from the best down, then those that were stopped, then those at work."""
    at_work = _ranked(trial for trial in points(study) if trial.state is TrialState.RUNNING)
    return finished(study) + stopped(study) + at_work


def looks(trial: FrozenTrial) -> Mapping[int, float]:
    """Val accuracy, a share, by optimiser step."""
    if trial.intermediate_values:
        return trial.intermediate_values
    kept: dict[str, float] = trial.user_attrs.get(LOOKS, {})
    return {int(step): value for step, value in kept.items()}


def accuracy(trial: FrozenTrial) -> float:
    """Val accuracy of a finished point; of another one its last look, 0 without any."""
    if trial.state is TrialState.COMPLETE:
        return trial.values[0]
    seen = looks(trial)
    return seen[max(seen)] if seen else 0.0


def cost_of(trial: FrozenTrial) -> float | None:
    """In the unit of the study's cost; None where it weighs none, or the point is not finished."""
    values = trial.values if trial.state is TrialState.COMPLETE else []
    return values[1] if len(values) > 1 else None


def accuracy_text(trial: FrozenTrial) -> str:
    """Per cent on val; of a point that was stopped or is at work, what it had when, for it has no result."""
    text = f"{100 * accuracy(trial):.1f}"
    if trial.state is TrialState.COMPLETE:
        return text
    step = max(looks(trial), default=0)
    return f"{text} {'stopped' if trial.state is TrialState.PRUNED else 'so far'} at step {step}"


def cost_name(study: optuna.Study) -> Cost | None:
    """What the study weighs against accuracy."""
    return cast(Cost | None, study.user_attrs.get("cost"))


@contextmanager
def reaching_studies(uri: str) -> Generator[None]:
    """Turns what Optuna's database raises where it cannot be used into a BadRequest."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError, ImportError, OSError, RuntimeError) as error:  # last: another schema
        reason = why_lost(error)
        fault = f"the Optuna database {hide_credentials(uri)} must be reachable and writable, but: {reason}"
        way = "check study_uri in the site file: a database of its own, not the one of MLflow"
        raise BadRequest([f"{fault}; {way}"]) from None


LOST = (StorageInternalError, SQLAlchemyError)
"""What Optuna raises when the database of an open study cannot be used."""


def why_lost(error: Exception) -> str:
    """In a line. Optuna's own errors only say that something is in their cause."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else None
    return hide_credentials(str(cause or error)).strip().splitlines()[0]


@contextmanager
def keeping_studies(uri: str) -> Generator[None]:
    """Turns the loss of the database of open studies into a StudyLostError."""
    try:
        yield
    except LOST as error:
        raise StudyLostError(uri, why_lost(error)) from None


def _ranked(trials: Generator[FrozenTrial]) -> list[FrozenTrial]:
    return sorted(trials, key=lambda trial: (-accuracy(trial), trial.number))
