"""Which runs a retry takes up, and which are left alone because they would fail again."""

from collections.abc import Iterable

import pytest

from fsar_core.config import RunConfig
from sweeps.engine.failures import Failure, Kind, not_started
from sweeps.engine.plan import Plan, PlannedRun, make_plan
from sweeps.engine.records import Store
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.retry import chosen, held_back, without
from tests.sweeps.made_plans import needing
from tests.sweeps.made_records import PRINTS, TRAIN, run_config, write_run

COMMIT = "0123456789abcdef"
LONE, FIRST, OTHER_FIRST = run_config(0.1), run_config(0.2), run_config(0.3)
SECOND = needing(run_config(0.4), FIRST)
THIRD = needing(run_config(0.5), SECOND)
BOTH = needing(run_config(0.6), FIRST, OTHER_FIRST)
NAMES = {"lone": LONE, "first": FIRST, "other": OTHER_FIRST, "second": SECOND, "third": THIRD, "both": BOTH}


def planned(store: Store) -> Plan:
    return make_plan([(run, None) for run in NAMES.values()], store, PRINTS)


def fail(store: Store, run: RunConfig, kind: Kind, times: int = 1, commit: str = COMMIT) -> None:
    for _ in range(times):
        store.folder(run, TRAIN).write_failure(Failure(kind=kind, traceback="x", git_commit=commit))


def wait_for(store: Store, run: RunConfig, *needs: RunConfig) -> None:
    store.folder(run, TRAIN).write_failure(not_started([store.key(need, TRAIN) for need in needs]))


def names(runs: Iterable[PlannedRun]) -> set[str]:
    return {name for name, run in NAMES.items() if run in [own.run for own in runs]}


@pytest.fixture
def failed(store: Store) -> Plan:
    """``first`` had no memory, so that three others were not started; ``lone`` has a bug."""
    fail(store, FIRST, "oom")
    fail(store, LONE, "bug")
    wait_for(store, SECOND, FIRST)
    wait_for(store, THIRD, SECOND)
    wait_for(store, BOTH, FIRST)
    write_run(store, OTHER_FIRST)
    return planned(store)


def test_a_retry_takes_what_failed_so_and_what_waited_for_it(failed: Plan) -> None:
    plan = chosen(failed, ["oom"])
    assert names(plan.todo()) == {"first", "second", "third", "both"}
    assert names(plan.runs) == {"first", "second", "third", "both", "other"}, "weights of the other one are needed"
    assert names(chosen(failed, ["bug"]).runs) == {"lone"}
    assert chosen(failed, ["preempted"]).runs == ()
    assert names(chosen(failed, ["bug", "oom"]).todo()) == {"lone", "first", "second", "third", "both"}


def test_runs_that_were_not_started_take_what_they_need_with_them(failed: Plan) -> None:
    assert names(chosen(failed, ["needs"]).todo()) == {"first", "second", "third", "both"}


def test_order_stays_so_that_what_is_needed_comes_first(failed: Plan) -> None:
    keys = [own.key for own in chosen(failed, ["needs"]).runs]
    assert keys == [own.key for own in failed.runs if own.key in keys]


def test_a_run_that_also_waits_for_another_failure_is_not_taken(store: Store) -> None:
    fail(store, FIRST, "oom")
    fail(store, OTHER_FIRST, "bug")
    wait_for(store, BOTH, FIRST, OTHER_FIRST)
    fail(store, SECOND, "bug")
    assert names(chosen(planned(store), ["oom"]).runs) == {"first"}


def test_what_fails_twice_as_a_bug_of_the_same_code_is_left_alone_with_what_waits_for_it(store: Store) -> None:
    fail(store, FIRST, "bug", times=2)
    fail(store, LONE, "bug", times=1)
    fail(store, OTHER_FIRST, "oom", times=5)
    plan = planned(store)
    held = held_back(plan, COMMIT)
    assert names(held) == {"first", "second", "third", "both"}
    assert names(without(plan, held).runs) == {"lone", "other"}
    assert held_back(plan, "fedcba9876543210") == ()


@pytest.mark.parametrize("commit", ["unknown", f"{COMMIT}+changes"])
def test_code_that_no_commit_names_may_be_mended_and_is_tried(store: Store, commit: str) -> None:
    fail(store, LONE, "bug", times=3, commit=commit)
    assert held_back(planned(store), commit) == ()


def test_a_run_that_has_been_mended_is_not_held_back(store: Store) -> None:
    fail(store, LONE, "bug", times=2)
    write_run(store, LONE)
    assert held_back(planned(store), COMMIT) == ()


def test_a_damaged_failure_is_named(store: Store) -> None:
    path = store.folder(LONE, TRAIN).path
    path.mkdir(parents=True)
    (path / "failure.json").write_text("{")
    with pytest.raises(UnreadableResultError, match=rf"failure\.json in {path}"):
        chosen(planned(store), ["bug"])
