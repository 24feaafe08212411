"""How a study is opened and read."""

from pathlib import Path
from typing import Any, get_args

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import BaseTrial, TrialState

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine.search_asked import Sampler
from sweeps.engine.search_samplers import sampler_of
from sweeps.engine.search_study import (
    KEY,
    RECORDED,
    TWIN,
    accuracy,
    accuracy_text,
    best_first,
    cost_name,
    cost_of,
    counted,
    done,
    finished,
    looks,
    open_study,
    stopped,
)
from sweeps.engine.site import BadRequest
from tests.sweeps.made_plans import made_table
from tests.sweeps.made_records import run_config


def define(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_float("lam", 0.1, 1.0))


SPACE = Space(name="made", define=define, first=({"lam": 0.5},), grid=lambda _: made_table())
DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'studies.db'}"


def branching(trial: optuna.Trial) -> list[float]:
    """Conditional, with all kinds of ranges. Best where ``lr`` is 0.01."""
    method = trial.suggest_categorical("method", ["a", "b"])
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    if method == "a":
        return [-abs(lr - 0.01), float(trial.suggest_int("frames", 2, 8, step=2))]
    return [-abs(lr - 0.01) - trial.suggest_float("share", 0.0, 1.0, step=0.25), trial.suggest_int("width", 1, 64)]


def trained(sampler: Sampler, objectives: int, trials: int = 24) -> optuna.Study:
    study = optuna.create_study(directions=DIRECTIONS[:objectives], sampler=sampler_of(sampler, 0))
    for i in range(trials):
        trial = study.ask()
        values = branching(trial)
        if i % 5 == 4:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, values[:objectives])
    return study


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_through_conditional_spaces_without_a_warning(
    sampler: Sampler, objectives: int, caplog: pytest.LogCaptureFixture
) -> None:
    study = trained(sampler, objectives)
    assert {trial.params["method"] for trial in study.trials} == {"a", "b"}
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def distance(sampler: Sampler) -> float:
    """From the best, of the nearest of 40 points."""
    ended = (trial for trial in trained(sampler, 1, 40).trials if trial.state is TrialState.COMPLETE)
    return min(-trial.values[0] for trial in ended)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_tpe_and_gp_learn(sampler: Sampler) -> None:
    assert distance(sampler) < distance("random") / 4


@pytest.mark.parametrize("objectives", [1, 2])
def test_the_default_draws_parameters_together_for_one_objective_and_keeps_off_points_at_work(objectives: int) -> None:
    def proposed(sampler: BaseSampler) -> list[dict[str, Any]]:
        study = optuna.create_study(directions=DIRECTIONS[:objectives], sampler=RandomSampler(seed=0))
        for _ in range(20):
            trial = study.ask()
            study.tell(trial, branching(trial)[:objectives])
        study.sampler = sampler
        at_work = [study.ask() for _ in range(6)]
        for trial in at_work:
            branching(trial)
        return [trial.params for trial in at_work]

    together = objectives == 1
    usual = proposed(sampler_of("tpe", 0))
    assert usual == proposed(TPESampler(seed=0, multivariate=together, constant_liar=True))
    assert usual != proposed(TPESampler(seed=0, multivariate=not together, constant_liar=True))
    assert usual != proposed(TPESampler(seed=0, multivariate=together, constant_liar=False))


def test_quasi_random_points_fill_every_range_evenly_and_go_on_in_another_process() -> None:
    study = optuna.create_study(sampler=sampler_of("quasi", 0))
    for i in range(64):
        if i == 40:
            study.sampler = sampler_of("quasi", 40)
        trial = study.ask()
        branching(trial)
        trial.suggest_int("layers", 1, 16, log=True)
        study.tell(trial, 0.0)
    values = {name: [t.params[name] for t in study.trials if name in t.params] for name in ("method", "lr", "layers")}
    assert values["method"].count("a") == 32
    assert [sum(10**-e <= lr < 10 ** (1 - e) for lr in values["lr"]) for e in (1, 2, 3, 4)] == [16] * 4
    assert len(set(values["lr"])) == 64
    assert set(values["layers"]) >= {1, 16}


def test_a_study_says_what_it_is_of(tmp_path: Path) -> None:
    study = open_study(database(tmp_path), "s", SPACE, "hmdb51", sampler="random", cost="gflops")
    assert study.user_attrs == {"space": "made", "dataset": "hmdb51", "cost": "gflops"}
    assert cost_name(study) == "gflops"
    again = open_study(database(tmp_path), "s", SPACE, "hmdb51", cost="gflops")
    assert [direction.name for direction in again.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert len(again.trials) == 1


def test_a_study_is_not_opened_with_another_cost(tmp_path: Path) -> None:
    open_study(database(tmp_path), "s", SPACE, "hmdb51", cost="gflops")
    for cost in (None, "latency"):
        with pytest.raises(BadRequest, match="search with --cost gflops"):
            open_study(database(tmp_path), "s", SPACE, "hmdb51", cost=cost)
    open_study(database(tmp_path), "t", SPACE, "hmdb51")
    with pytest.raises(BadRequest, match="search with --cost none"):
        open_study(database(tmp_path), "t", SPACE, "hmdb51", cost="latency")


def add(study: optuna.Study, state: TrialState, value: float | None, **attributes: object) -> None:
    seen = {} if value is None or state is TrialState.COMPLETE else {100: 0.1, 200: value}
    values = [value] if value is not None and state is TrialState.COMPLETE else None
    study.add_trial(
        optuna.trial.create_trial(state=state, values=values, intermediate_values=seen, user_attrs=attributes)
    )


def test_points_are_counted_ranked_and_marked() -> None:
    study = optuna.create_study(direction="maximize")
    add(study, TrialState.COMPLETE, 0.5, **{KEY: "a"})
    add(study, TrialState.PRUNED, 0.9, **{KEY: "b"})
    add(study, TrialState.COMPLETE, 0.7, **{KEY: "c", RECORDED: True})
    add(study, TrialState.COMPLETE, 0.5, **{KEY: "a", TWIN: 0})
    add(study, TrialState.FAIL, None, **{KEY: "d"})
    study.ask().set_user_attr(KEY, "e")
    study.ask()  # a driver that was killed before it had named the point
    assert [trial.number for trial in counted(study)] == [0, 1, 5]
    assert [trial.number for trial in done(study)] == [0, 1]
    assert [trial.number for trial in finished(study)] == [2, 0]
    assert [trial.number for trial in stopped(study)] == [1]
    assert [trial.number for trial in best_first(study)] == [2, 0, 1, 5]
    assert [accuracy_text(trial) for trial in best_first(study)] == [
        "70.0",
        "50.0",
        "90.0 stopped at step 200",
        "0.0 so far at step 0",
    ]


def test_looks_of_a_trial_with_two_objectives_are_read_from_its_attribute(tmp_path: Path) -> None:
    study = open_study(database(tmp_path), "s", SPACE, "hmdb51", cost="gflops")
    trial = study.ask()
    trial.set_user_attr("looks", {"100": 0.25, "200": 0.5})
    study.tell(trial, state=TrialState.PRUNED)
    assert looks(study.trials[0]) == {100: 0.25, 200: 0.5}
    assert (accuracy(study.trials[0]), cost_of(study.trials[0])) == (0.5, None)
