"""What waits in front of a study: points that are asked for before the sampler draws new ones."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine.records import Store
from sweeps.engine.search_study import AGAIN, KEY, TWIN, finished

_POINTS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def enqueue_recorded(
    study: optuna.Study, space: Space, recipe: Recipe, store: Store, fingerprints: Mapping[str, str]
) -> int:
    """Puts the rows of the papers' grid whose run is recorded and which the study lacks in front of it; gives their
    number. A search tells what they reached as soon as it asks for them, and trains nothing."""
    trials = study.get_trials(deepcopy=False)
    keys = {trial.user_attrs.get(KEY) for trial in trials}
    waiting = [_asked_of(trial) for trial in trials]
    count = 0
    for point in space.grid_points:
        run = space.run(point, recipe)
        key = store.key(run, fingerprints[run.data.dataset])
        if key not in keys and dict(point) not in waiting and store.folder_of(key).has_record():
            study.enqueue_trial(dict(point))
            keys.add(key)
            count += 1
    return count


def promote(cheap: optuna.Study, study: optuna.Study, most: int) -> int:
    """Puts the ``most`` best finished points of ``cheap`` in front of ``study``, less those that it has met in any
    way; gives their number. Both must have the same parameters."""
    met = [_asked_of(trial) for trial in study.get_trials(deepcopy=False)]
    lacking = [trial.params for trial in finished(cheap)[:most] if trial.params not in met]
    for params in lacking:
        study.enqueue_trial(params)
    return len(lacking)


def failed_points(study: optuna.Study) -> list[FrozenTrial]:
    """Of every point that failed the last trial, unless it has been finished since, or waits to be tried again."""
    trials = study.get_trials(deepcopy=False)
    again = {t.user_attrs[AGAIN] for t in trials if AGAIN in t.user_attrs and t.state in (*_POINTS, TrialState.WAITING)}
    met = {t.user_attrs.get(KEY) for t in trials if t.state in _POINTS and TWIN not in t.user_attrs}
    last = {
        t.user_attrs[KEY]: t
        for t in trials
        if t.state is TrialState.FAIL and KEY in t.user_attrs and TWIN not in t.user_attrs
    }
    return [trial for key, trial in last.items() if key not in met and trial.number not in again]


def _asked_of(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters, also of a trial that waits."""
    return trial.system_attrs.get("fixed_params", trial.params)
