"""The flags of a search, and every fault of them at once."""

from dataclasses import replace
from typing import Any

import pytest

from sweeps.engine.search_asked import SearchAsked, SearchWords, asked_for

WORDS = SearchWords(search="20", sampler="tpe", cost=None, cheap_first=0, finals=3, path=True, stopping=None)


def test_a_number_is_the_size_of_the_study_and_a_plus_adds_to_what_it_holds() -> None:
    asked, faults = asked_for(WORDS)
    assert (asked, faults) == (SearchAsked(points=20), ())
    assert asked is not None
    assert asked.total(7) == 20
    more, _ = asked_for(replace(WORDS, search="+20"))
    assert more is not None
    assert more.total(7) == 27


def test_without_search_there_is_none() -> None:
    assert asked_for(replace(WORDS, search=None)) == (None, ())


@pytest.mark.parametrize("typed", ["0", "-3", "+0", "many", "", "1e3", "+", "٣"])
def test_what_is_no_number_of_points_is_refused(typed: str) -> None:
    asked, (fault,) = asked_for(replace(WORDS, search=typed))
    assert asked is None
    assert fault.startswith("--search must be a number of points, at least 1, or +N")
    assert repr(typed) in fault


def test_all_faults_come_at_once() -> None:
    asked, faults = asked_for(
        replace(WORDS, search="x", sampler="cma", cost="watts", cheap_first=-1, finals=-2),
    )
    assert asked is None
    starts = ["--search", "--sampler must be one of tpe", "--cost must be one of gflops", "--cheap-first", "--finals"]
    assert [fault.startswith(start) for fault, start in zip(faults, starts, strict=True)] == [True] * 5


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"sampler": "gp"}, "--sampler"),
        ({"cheap_first": 5}, "--cheap-first"),
        ({"path": False, "stopping": False}, "--no-path, --no-stopping"),
    ],
)
def test_flags_of_a_search_without_one_are_refused(changed: dict[str, Any], named: str) -> None:
    asked, (fault,) = asked_for(replace(WORDS, search=None, **changed))
    assert asked is None
    assert fault.startswith(f"{named} go with --search")


@pytest.mark.parametrize(
    ("typed", "own", "chosen"),
    [(None, "gflops", "gflops"), (None, None, None), ("none", "gflops", None), ("latency", "gflops", "latency")],
)
def test_the_cost_is_the_space_s_own_unless_one_is_named(typed: str | None, own: Any, chosen: str | None) -> None:
    asked, _ = asked_for(replace(WORDS, cost=typed))
    assert asked is not None
    assert asked.chosen_cost(own) == chosen


@pytest.mark.parametrize(
    ("typed", "cost", "stops"),
    [(None, None, True), (None, "gflops", False), (True, "gflops", True), (False, None, False)],
)
def test_points_are_stopped_by_accuracy_where_nothing_is_weighed_against_it(
    typed: bool | None, cost: Any, stops: bool
) -> None:
    asked, _ = asked_for(replace(WORDS, stopping=typed))
    assert asked is not None
    assert asked.stops(cost) == stops
