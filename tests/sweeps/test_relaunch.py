"""What one command launches again by itself: lost nodes, full memory, full disks; and what it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from sweeps.engine import launch
from sweeps.engine.failures import Failure, KilledForMemoryError, Kind, not_started
from sweeps.engine.plan import Plan, PlannedRun, make_plan
from sweeps.engine.records import Store
from sweeps.engine.relaunch import MOST_LOSSES, complete_plan
from sweeps.engine.watch import Display
from tests.sweeps.made_launch import succeed, without_ray
from tests.sweeps.made_plans import FIRST, made_site, needing
from tests.sweeps.made_records import ORIGIN, PRINTS, run_config

SECOND, ALONE = needing(run_config(0.1), FIRST), run_config(0.2)


class Launches:
    """Stands for Ray: says what becomes of each run at each launch."""

    def __init__(self, store: Store, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store, self.site = store, made_site(site)
        self.seen: list[list[PlannedRun]] = []
        self.lost = 0
        self.fate: Callable[[PlannedRun, int], Failure | None] = lambda planned, number: None
        monkeypatch.setattr(launch, "ray_session", without_ray)
        monkeypatch.setattr(launch, "run_plan", self._run)

    def planned(self) -> Plan:
        return make_plan([(SECOND, None), (ALONE, None)], self._store, PRINTS)

    def complete(self) -> list[list[str]]:
        display = Display(Console(quiet=True))
        complete_plan(self.planned(), self.planned, self.site, ORIGIN, cast(Any, None), display)
        return [[planned.key for planned in plan] for plan in self.seen]

    def _run(self, plan: Plan, *_: object) -> int:
        self.seen.append(list(plan.todo()))
        failed = set[str]()
        for planned in plan.todo():
            gone = sorted(failed.intersection(planned.needs))
            failure = not_started(gone) if gone else self.fate(planned, len(self.seen))
            if failure is None:
                succeed(planned, plan)
                planned.folder.clear_failure()
            else:
                failed.add(planned.key)
                planned.folder.write_failure(failure)
        return self.lost


@pytest.fixture
def launches(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launches:
    return Launches(store, tmp_path, monkeypatch)


@pytest.fixture
def keys(launches: Launches) -> list[str]:
    """Of the first run, of that which needs it, and of the other one."""
    return [planned.key for planned in launches.planned().runs]


def of_first(kind: Kind, times: int, *, alone: bool = False) -> Callable[[PlannedRun, int], Failure | None]:
    def fate(planned: PlannedRun, number: int) -> Failure | None:
        fails = planned.run == FIRST and number <= times
        return Failure(kind=kind, traceback="x", alone=alone) if fails else None

    return fate


def test_a_run_without_memory_is_tried_once_more_and_what_waits_for_it_follows(
    launches: Launches, keys: list[str]
) -> None:
    launches.fate = of_first("oom", 1)
    assert launches.complete() == [keys, keys[:2]]
    assert launches.planned().complete()


@pytest.mark.parametrize(("alone", "count"), [(False, 2), (True, 1)])
def test_then_it_is_reported(launches: Launches, keys: list[str], alone: bool, count: int) -> None:
    launches.fate = of_first("oom", 9, alone=alone)
    assert len(launches.complete()) == count
    first, second, other = launches.planned().runs
    failures = [planned.folder.failure() for planned in (first, second)]
    assert [failure and failure.kind for failure in failures] == ["oom", "needs"]
    assert other.done


@pytest.mark.parametrize(
    ("ray", "node", "times", "count"),
    [("auto", "n", 1, 2), ("auto", "n", 9, 2), ("auto", None, 9, 1), ("local", "n", 9, 1)],
)
def test_what_met_the_full_disk_of_a_node_is_launched_again_once(
    launches: Launches, keys: list[str], ray: str, node: str | None, times: int, count: int
) -> None:
    def fate(planned: PlannedRun, number: int) -> Failure | None:
        fails = planned.run == FIRST and number <= times
        return Failure(kind="disk", traceback="x", node=node) if fails else None

    launches.site, launches.fate = launches.site.model_copy(update={"ray": ray}), fate
    assert launches.complete() == [keys, keys[:2]][:count]
    assert launches.planned().complete() == (times < count)


def test_a_bug_is_not_launched_again_and_stops_no_other_run(launches: Launches, keys: list[str]) -> None:
    launches.fate, launches.lost = of_first("bug", 9), 1
    assert launches.complete() == [keys]
    assert [planned.done for planned in launches.planned().runs] == [False, False, True]


@pytest.mark.parametrize(("lost", "count"), [(0, 1), (1, 4)])
def test_workers_that_died_with_their_nodes_do_not_count(launches: Launches, lost: int, count: int) -> None:
    launches.fate, launches.lost = of_first("preempted", 3), lost
    assert len(launches.complete()) == count
    assert launches.planned().complete() == bool(lost)


def test_nodes_that_die_for_ever_end_the_command(launches: Launches) -> None:
    launches.fate, launches.lost = of_first("preempted", 99), 1
    assert len(launches.complete()) == MOST_LOSSES + 1


def test_after_a_kill_for_memory_what_was_at_work_gets_a_node_for_itself(
    launches: Launches, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[Plan] = []

    def first_killed(plan: Plan, *_: object) -> int:
        killed.append(plan)
        if len(killed) == 1:
            raise KilledForMemoryError("low on memory", keys[:1])
        for planned in plan.todo():
            succeed(planned, plan)
        return 0

    monkeypatch.setattr(launch, "run_plan", first_killed)
    launches.complete()
    assert [[planned.alone for planned in plan.todo()] for plan in killed] == [[False] * 3, [True, False, False]]
