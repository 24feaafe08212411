"""What is put in front of a study."""

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import BaseTrial, TrialState, create_trial

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine.records import Store
from sweeps.engine.search_queue import enqueue_recorded, failed_points, promote
from sweeps.engine.search_study import AGAIN, KEY, TWIN
from tests.fsar_core.tiny import recipe
from tests.sweeps.made_plans import made_table
from tests.sweeps.made_records import PRINTS, TRAIN, run_config, write_run


def define(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_float("lam", 0.1, 1.0))


SPACE = Space(
    name="made",
    define=define,
    first=(),
    grid=lambda _: made_table(),
    grid_points=tuple({"lam": lam} for lam in (0.2, 0.4, 0.6, 0.8)),
)


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def waiting(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.system_attrs["fixed_params"] for trial in study.trials if trial.state is TrialState.WAITING]


def add(study: optuna.Study, lam: float, state: TrialState = TrialState.COMPLETE, **attributes: Any) -> None:
    value = lam if state is TrialState.COMPLETE else None
    attributes.setdefault(KEY, str(lam))
    study.add_trial(
        create_trial(
            state=state,
            value=value,
            params={"lam": lam},
            distributions={"lam": FloatDistribution(0.1, 1.0)},
            user_attrs=attributes,
        )
    )


def test_rows_of_the_grid_that_are_recorded_and_lacking_are_put_in_front_once(
    study: optuna.Study, store: Store
) -> None:
    for lam in (0.2, 0.4, 0.6):
        write_run(store, run_config(lam))
    study.enqueue_trial({"lam": 0.2})
    add(study, 0.4, TrialState.COMPLETE, **{KEY: store.key(run_config(0.4), TRAIN)})
    assert enqueue_recorded(study, SPACE, recipe(), store, PRINTS) == 1
    assert enqueue_recorded(study, SPACE, recipe(), store, PRINTS) == 0
    assert waiting(study) == [{"lam": 0.2}, {"lam": 0.6}]


def test_the_best_points_of_a_cheap_study_are_promoted_once(study: optuna.Study) -> None:
    cheap = optuna.create_study(direction="maximize")
    for lam in (0.3, 0.9, 0.5, 0.7):
        add(cheap, lam)
    add(study, 0.7, TrialState.PRUNED)
    assert promote(cheap, study, 3) == 2
    assert promote(cheap, study, 3) == 0
    assert waiting(study) == [{"lam": 0.9}, {"lam": 0.5}]


def test_of_failed_points_those_are_tried_again_that_have_not_ended_or_wait(study: optuna.Study) -> None:
    add(study, 0.1, TrialState.FAIL)
    add(study, 0.1, TrialState.FAIL, **{AGAIN: 0})
    add(study, 0.2, TrialState.FAIL)
    add(study, 0.2, TrialState.COMPLETE, **{AGAIN: 2})
    add(study, 0.3, TrialState.FAIL)
    add(study, 0.4, TrialState.FAIL, **{TWIN: 0})
    study.enqueue_trial({"lam": 0.3}, user_attrs={AGAIN: 4})
    assert [trial.number for trial in failed_points(study)] == [1]
