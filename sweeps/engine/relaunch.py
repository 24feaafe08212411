"""A plan launched until nothing is left that another launch of the same command mends."""

from collections import Counter
from collections.abc import Callable

from sweeps.engine.failures import KilledForMemoryError
from sweeps.engine.packing import count_all
from sweeps.engine.plan import Plan
from sweeps.engine.recording import Recording
from sweeps.engine.records import Origin
from sweeps.engine.retry import after_kill, after_launch
from sweeps.engine.run_watcher import RunWatcher
from sweeps.engine.site import Site
from sweeps.engine.tracking import Tracking
from sweeps.engine.watch import Display

MOST_LOSSES = 10
"""Launches that may lose nodes, before runs whose workers died too often count as failed."""


def complete_plan(
    plan: Plan, compared: Callable[[], Plan], site: Site, origin: Origin, tracking: Tracking, display: Display
) -> None:
    """Launches what the plan lacks; then again, what ran out of memory beside other runs (once), what met a full disk
    on a node of a cluster (once, on others), what lost its workers with their nodes, and, where Ray killed a worker for
    memory, which ends Tune, the rest.

    ``compared``: all that was asked for, against what is recorded now. Failures are in the runs' folders.
    """
    from sweeps.engine.launch import ray_session, run_plan  # Ray takes a second to import

    _tell(display, count_all(plan, site, display.counting("counting memory of runs")))
    kills, tried, losses = Counter[str](), set[str](), 0
    while not plan.complete():
        todo = plan.todo()
        steps = sum(planned.steps_left for planned in todo)
        try:
            with ray_session(site), Recording(display) as recording:
                watcher = RunWatcher(display, tracking, recording, runs=len(todo), steps=steps)
                lost = run_plan(plan, site, origin, watcher)
            losses += bool(lost)
            again = bool(lost) and losses <= MOST_LOSSES
            plan, words = after_launch(plan, compared(), tried, cluster=site.ray == "auto", nodes_lost=again)
            _tell(display, words)
        except KilledForMemoryError as killed:
            _tell(display, f"a worker was killed: {killed.told.splitlines()[0]}")
            kills.update(killed.at_work)
            plan = after_kill(plan, compared(), kills, killed.told, most=site.retries)


def _tell(display: Display, words: str) -> None:
    if words:
        display.console.print(words, highlight=False, markup=False, soft_wrap=True)
