"""The greedy path between two points: made-up accuracies, interactions, ties, conditional parameters."""

from collections.abc import Mapping, Sequence

import pytest
from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from search_spaces.table import Setting
from sweeps.engine.search_path import Change, Ends, Way, changes, greedy, trainings_at_most
from tests.fsar_core.tiny import recipe
from tests.sweeps.made_records import run_config

_LAM = {"a": 0.01, "b": 0.02, "c": 0.04, "d": 0.08}


def switches(trial: BaseTrial, _: Recipe) -> RunConfig:
    """Four numbers, each of which makes another run."""
    return run_config(1 + sum(trial.suggest_int(name, 0, 1) * own for name, own in _LAM.items()))


def branched(trial: BaseTrial, _: Recipe) -> RunConfig:
    """``region`` brings a parameter of its own; ``size`` may be 3 only where ``region`` is ``top``."""
    region = trial.suggest_categorical("region", ["saliency", "top"])
    most = 2 if region == "saliency" else 3
    size = trial.suggest_int("size", 1, most)
    own = trial.suggest_int("pairs" if region == "saliency" else "singles", 1, 9)
    return run_config(1 + (region == "top") + 0.1 * size + 0.01 * own)


def silent(trial: BaseTrial, _: Recipe) -> RunConfig:
    """``b`` counts where ``a`` is 1, and ``c`` never."""
    a, b, _c = (trial.suggest_int(name, 0, 1) for name in "abc")
    return run_config(1 + a + 0.1 * a * b)


def ends(best: Point, paper: Point, define: object = switches) -> Ends:
    space = Space(name="made", define=define, first=(paper,), grid=lambda _: pytest.fail("no grid"))  # pyright: ignore[reportArgumentType] - as given
    return Ends.of(space, recipe(), best)


ALL_OFF = dict.fromkeys(_LAM, 0)
ALL_ON = dict.fromkeys(_LAM, 1)


class Made:
    """Accuracies by the names of the switches that are on; remembers what was asked."""

    def __init__(self, by_names: Mapping[str, float | None]) -> None:
        self.by_names, self.asked = by_names, list[list[str]]()

    def __call__(self, points: Sequence[Point]) -> list[float | None]:
        names = ["".join(name for name, value in point.items() if value == 1) for point in points]
        self.asked.append(names)
        return [self.by_names[own] for own in names]


def order(way: Way) -> list[str]:
    return [step.words for step in way.steps]


def walked(best: Point, measure: Made, most: int = 4) -> Way:
    own = ends(best, ALL_OFF)
    return greedy(own, changes(own, {}, most), measure)


def test_the_change_that_gains_most_comes_first_and_the_last_one_is_not_tried() -> None:
    made = Made({"a": 0.4, "b": 0.6, "c": 0.5, "ab": 0.65, "bc": 0.7})
    way = walked({**ALL_ON, "d": 0}, made)
    assert order(way) == ["b 1", "c 1", "a 1"]
    assert made.asked == [["a", "b", "c"], ["ab", "bc"]]
    assert [(own.words, own.accuracy) for own in way.steps[0].tried] == [("a 1", 0.4), ("b 1", 0.6), ("c 1", 0.5)]
    assert way.steps[2].tried == ()
    assert way.points() == (ALL_OFF, {**ALL_OFF, "b": 1}, {**ALL_OFF, "b": 1, "c": 1}, {**ALL_ON, "d": 0})


def test_two_changes_that_help_only_together_are_reached_over_the_smaller_loss() -> None:
    made = Made({"a": 0.2, "b": 0.3, "c": 0.1, "ab": 0.9, "bc": 0.2})
    assert order(walked({**ALL_ON, "d": 0}, made)) == ["b 1", "a 1", "c 1"]


def test_of_equal_gains_the_more_important_change_is_made() -> None:
    made = Made({"a": 0.5, "b": 0.5})
    own = ends({**ALL_OFF, "a": 1, "b": 1}, ALL_OFF)
    assert order(greedy(own, changes(own, {}), made)) == ["a 1", "b 1"]
    assert order(greedy(own, changes(own, {"b": 0.7, "a": 0.1}), made)) == ["b 1", "a 1"]


def test_a_point_that_does_not_differ_has_no_path() -> None:
    way = walked(ALL_OFF, Made({}))
    assert (way.steps, way.points()) == ((), (ALL_OFF,))


def test_one_change_is_the_whole_path_without_any_trial() -> None:
    made = Made({})
    assert order(walked({**ALL_OFF, "c": 1}, made)) == ["c 1"]
    assert made.asked == []


def test_the_least_important_changes_are_one_if_there_are_too_many() -> None:
    own = ends(ALL_ON, ALL_OFF)
    found = changes(own, {"c": 0.5, "a": 0.3, "b": 0.1}, most=2)
    assert found == (Change(names=("c",)), Change(names=("a", "b", "d")))
    made = Made({"c": 0.4, "abd": 0.5})
    assert order(greedy(own, found, made)) == ["a 1, b 1, d 1", "c 1"]
    assert changes(own, {}, most=4) == tuple(Change(names=(name,)) for name in "abcd")


def test_a_change_that_cannot_be_trained_waits_and_without_any_all_are_made_at_once() -> None:
    some = Made({"a": None, "b": 0.1, "c": None, "ab": 0.2, "bc": None})
    assert order(walked({**ALL_ON, "d": 0}, some)) == ["b 1", "a 1", "c 1"]
    none = walked({**ALL_OFF, "a": 1, "b": 1}, Made({"a": None, "b": None}))
    assert order(none) == ["a 1, b 1"]
    assert [own.accuracy for own in none.steps[0].tried] == [None, None]


def test_a_branch_brings_its_own_parameters_and_values_out_of_range_wait_for_it() -> None:
    own = ends({"region": "top", "size": 3, "singles": 7}, {"region": "saliency", "size": 1, "pairs": 4}, branched)
    assert own.differing() == ("region", "size")
    asked: list[list[Point]] = []

    def measure(points: Sequence[Point]) -> list[float]:
        asked.append(list(points))
        return [0.1 for _ in points]

    way = greedy(own, changes(own, {"size": 1.0}), measure)
    assert asked == [[{"region": "top", "size": 1, "singles": 7}]]  # a size of 3 is no point under saliency
    assert order(way) == ["region top, singles 7", "size 3"]
    assert way.points()[-1] == own.best


def test_a_change_without_effect_waits_until_it_has_one_or_is_named() -> None:
    own = ends({"a": 1, "b": 1, "c": 1}, {"a": 0, "b": 0, "c": 0}, silent)
    seen: list[Setting] = []

    def measure(points: Sequence[Point]) -> list[float]:
        seen.extend(str(dict(point)) for point in points)
        return [0.5 for _ in points]

    way = greedy(own, changes(own, {"c": 1.0, "b": 0.5}), measure)
    assert seen[0] == "{'a': 1, 'b': 0, 'c': 0}"  # b and c alone change no run
    assert order(way) == ["a 1", "b 1"]
    assert way.without_effect == ("c",)


@pytest.mark.parametrize(
    ("count", "seeds", "trainings"), [(0, 3, 0), (1, 3, 0), (2, 3, 4), (3, 3, 9), (4, 3, 15), (4, 1, 9)]
)
def test_the_trainings_of_a_path_are_known_before(count: int, seeds: int, trainings: int) -> None:
    assert trainings_at_most(count, seeds=seeds) == trainings
    asked = Made({"".join(name for i, name in enumerate("abcd") if bits >> i & 1): bits / 16 for bits in range(16)})
    best = {name: int(i < count) for i, name in enumerate("abcd")}
    way = walked(best, asked)
    between = max(0, len(way.steps) - 1)
    assert sum(map(len, asked.asked)) + between * (seeds - 1) == trainings
