"""How long runs take on so many workers: nobody waits in vain, nobody starts before what it needs."""

import pytest

from sweeps.engine.schedule import wall_seconds


def test_runs_that_need_nothing_fill_all_workers() -> None:
    assert wall_seconds({"a": 4, "b": 3, "c": 2, "d": 1}, {}, 1) == 10
    assert wall_seconds({"a": 4, "b": 3, "c": 2, "d": 1}, {}, 2) == 5
    assert wall_seconds({"a": 4, "b": 3, "c": 2, "d": 1}, {}, 9) == 4


def test_a_run_starts_after_the_last_of_its_needs() -> None:
    needs = {"c": ("a", "b"), "d": ("c",)}
    assert wall_seconds({"a": 1, "b": 5, "c": 2, "d": 3}, needs, 4) == 10


def test_what_all_wait_for_leaves_workers_idle_so_that_the_total_by_workers_is_too_short() -> None:
    seconds = {"first": 10.0} | {f"run {i}": 1.0 for i in range(8)}
    needs = {f"run {i}": ("first",) for i in range(8)}
    assert wall_seconds(seconds, needs, 8) == 11
    assert sum(seconds.values()) / 8 < 3


def test_runs_are_handed_out_in_their_order_even_if_another_would_be_quicker() -> None:
    assert wall_seconds({"a": 1, "b": 1, "long": 4}, {}, 2) == 5


def test_needs_that_are_done_already_delay_nothing() -> None:
    assert wall_seconds({"a": 2}, {"a": ("recorded", "recorded")}, 1) == 2


def test_nothing_takes_no_time() -> None:
    assert wall_seconds({}, {}, 3) == 0


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="2 of 3 runs need each other"):
        wall_seconds({"a": 1, "b": 1, "c": 1}, {"a": ("b",), "b": ("a",)}, 2)
