"""Importance of a search's parameters: by branch, by two measures, with intervals; nothing where nothing is known."""

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from sweeps.engine.search_branches import branches, common
from sweeps.engine.search_importance import LEAST, MEASURES, BranchImportance, importances
from sweeps.engine.search_study import KEY, finished, points
from tests.sweeps.made_studies import conditional, make_study, plain


@pytest.fixture(autouse=True)
def few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"PED-ANOVA": (40, 40, 1), "fANOVA": (12, 12, 1)}
    monkeypatch.setattr("sweeps.engine.search_importance._REPETITIONS", few)


def of(study: optuna.Study) -> tuple[BranchImportance, ...]:
    return importances(points(study), finished(study))


def test_both_measures_find_what_matters_and_what_does_not() -> None:
    (branch,) = of(make_study(60))
    assert (branch.where, branch.points, branch.why_not) == ("", 46, "")
    assert branch.parameters()[0] == "masked"
    for measure in MEASURES:
        shares = {one.parameter: one.share for one in branch.of(measure)}
        assert max(shares, key=lambda name: shares[name]) == "masked"
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares, key=lambda name: shares[name]) == "lambda"
        assert all(0 <= one.low < one.high <= 1 for one in branch.of(measure))


def test_the_intervals_of_equal_points_are_equal() -> None:
    study = make_study(12)
    assert of(study) == of(study)


def test_two_objectives_are_measured_by_accuracy_alone() -> None:
    (alone,), (weighed,) = of(make_study(20)), of(make_study(20, cost=True))
    assert alone == weighed


def test_parameters_of_a_branch_are_measured_within_it() -> None:
    everybody, *others = of(make_study(40, conditional, first={}))
    assert set(everybody.parameters()) == {"method", "learning_rate"}
    assert {branch.where: set(branch.parameters()) for branch in others} == {
        "where method is sgtm": {"lambda", "learning_rate"},
        "where method is trx": {"cardinality", "learning_rate"},
    }
    assert sum(branch.points for branch in others) == everybody.points


def test_too_few_finished_points_say_so() -> None:
    (branch,) = of(make_study(LEAST - 1, plain))
    assert not branch.importances
    assert branch.why_not == "6 finished, and fewer than 8 points say nothing about region, masked, lambda"


def made_of(*made: tuple[dict[str, float], float]) -> optuna.Study:
    """Of points as they stand here: parameters and accuracy."""
    study = optuna.create_study(direction="maximize")
    for number, (params, value) in enumerate(made):
        space: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in params}
        study.add_trial(create_trial(params=params, distributions=space, value=value, user_attrs={KEY: str(number)}))
    return study


def test_accuracies_that_differ_by_rounding_are_one() -> None:
    made = [({"a": i / 9, "b": 1 - (i % 3) / 9}, 0.28400000000000003 if i else 0.284) for i in range(10)]
    (branch,) = of(made_of(*made))
    assert branch.why_not == "all 10 finished points have one accuracy"


def test_draws_in_which_points_differ_in_accuracy_alone_are_left_out() -> None:
    """As in a branch whose points differ in parameters that not all of them have."""
    same = [({"a": 0.5, "b": 0.5}, 0.3 + i / 100) for i in range(8)]
    (branch,) = of(made_of(*same, ({"a": 0.1, "b": 0.9}, 0.7)))
    assert set(branch.parameters()) == {"a", "b"}


def test_one_parameter_has_no_share() -> None:
    (branch,) = of(make_study(12, lambda trial: trial.suggest_float("lambda", 0.0, 1.0), first={}))
    assert branch.why_not == "shares need two parameters that vary; of 10 finished points only lambda varies"


def test_equal_accuracies_say_nothing() -> None:
    trials = [made(i, {"a": i, "b": 9 - i}, 0.5) for i in range(10)]
    (branch,) = importances(trials, trials)
    assert branch.why_not == "all 10 finished points have one accuracy"


def test_draws_without_any_difference_are_left_out_of_the_intervals() -> None:
    """Of ten points nine are equal: many draws hold none of the tenth."""
    trials = [made(i, {"a": i, "b": i % 3}, 0.9 if i == 4 else 0.5) for i in range(10)]
    (branch,) = importances(trials, trials)
    assert {one.measure for one in branch.importances} == {"fANOVA"}
    assert all(np.isfinite([one.share, one.low, one.high]).all() for one in branch.importances)


def test_a_nested_branch_is_named_by_the_choice_that_opens_it() -> None:
    def nested(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("method", ["sgtm", "trx"]) == "trx":
            return 0.5
        if trial.suggest_categorical("region", ["saliency", "top", "random"]) != "saliency":
            return 0.4
        return 0.1 * trial.suggest_int("pairs", 1, 3)

    found = {branch.own: branch.where for branch in branches(points(make_study(40, nested, first={})))}
    assert found == {
        ("method",): "",
        ("region",): "where method is sgtm",
        ("pairs",): "where region is saliency",
    }


def test_a_branch_that_a_number_opens_is_named_by_its_own_parameter() -> None:
    trials = [made(i, {"weight": i} | ({"sign": 1} if i else {}), 0.5) for i in range(4)]
    assert [branch.where for branch in branches(trials)] == ["", "where sign is set"]


def test_ranges_that_depend_on_other_parameters_are_joined() -> None:
    ranges: list[BaseDistribution] = [IntDistribution(1, 3), IntDistribution(2, 8)]
    trials = [create_trial(params={"m": 3}, distributions={"m": own}, value=0.5) for own in ranges]
    assert common(trials) == {"m": IntDistribution(1, 8)}
    rates: list[BaseDistribution] = [FloatDistribution(0.1, 0.5), FloatDistribution(0.2, 0.9)]
    trials = [create_trial(params={"m": 0.3}, distributions={"m": own}, value=0.5) for own in rates]
    assert common(trials) == {"m": FloatDistribution(0.1, 0.9)}


def made(number: int, params: dict[str, int], value: float) -> FrozenTrial:
    trial = create_trial(params=params, distributions={name: IntDistribution(0, 9) for name in params}, value=value)
    trial.number = number
    return trial
