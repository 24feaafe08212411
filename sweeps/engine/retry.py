"""Which of the runs of a plan are launched again after a failure."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sweeps.engine.failures import Failure, Kind, failure_of_death, not_started
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.records import RunFolder
from sweeps.engine.results import UnreadableResultError

_ATTEMPTS = 2


def chosen(plan: Plan, kinds: Collection[Kind]) -> Plan:
    """The runs that failed in one of these ways, with what they lack of other runs, and those that waited for nothing
    else than them. Runs whose weights these take stay in the plan, done as they are."""
    return _taken_up(plan, {key for key, failure in _failures(plan).items() if failure.kind in kinds})


def _failures(plan: Plan) -> dict[str, Failure]:
    """Of what is not done, by key."""
    failures = {planned.key: last_failure(planned.folder) for planned in plan.todo()}
    return {key: failure for key, failure in failures.items() if failure is not None}


def _taken_up(plan: Plan, wanted: set[str]) -> Plan:
    """These, what they lack, and what waited for nothing else."""
    undone = {planned.key for planned in plan.todo()}
    failed = {key: failure.kind for key, failure in _failures(plan).items()}
    for planned in reversed(plan.todo()):  # those that are needed stand before those that need them
        if planned.key in wanted:
            wanted.update(need for need in planned.needs if need in undone)
    for planned in plan.todo():
        lacks = {need for need in planned.needs if need in undone}
        if lacks and lacks <= wanted and failed.get(planned.key, "needs") == "needs":
            wanted.add(planned.key)
    return _only(plan, wanted)


def held_back(plan: Plan, git_commit: str) -> tuple[PlannedRun, ...]:
    """The runs that failed twice as a bug under this code, and would again; with those that wait for them.

    None where the code has changes that no commit names: it may be mended.
    """
    if "+" in git_commit or git_commit == "unknown":
        return ()
    held: dict[str, PlannedRun] = {}
    for planned in plan.todo():
        if _would_fail(planned, git_commit) or held.keys() & set(planned.needs):
            held[planned.key] = planned
    return tuple(held.values())


def _would_fail(planned: PlannedRun, git_commit: str) -> bool:
    failure = last_failure(planned.folder)
    if failure is None or (failure.kind, failure.git_commit) != ("bug", git_commit):
        return False
    return failure.attempts >= _ATTEMPTS


def without(plan: Plan, left_out: Collection[PlannedRun]) -> Plan:
    """The plan less runs that are left alone; no other run may wait for one of them."""
    keys = {planned.key for planned in left_out}
    return _only(plan, {planned.key for planned in plan.runs if planned.key not in keys})


def after_launch(before: Plan, now: Plan, tried: set[str], *, cluster: bool, nodes_lost: bool) -> tuple[Plan, str]:
    """What is launched again once a launch of ``before`` has ended, and that in words: runs that ran out of memory
    beside others, and of a ``cluster`` those whose node had no room on its disk, each once (``tried`` remembers); where
    nodes were lost, those whose workers died too often; with those that waited for them."""
    keys = {planned.key for planned in before.runs}
    now = _only(now, {planned.key for planned in now.runs if planned.key in keys})
    failures = _failures(now)
    full = {key for key, failure in failures.items() if failure.kind == "oom" and not failure.alone} - tried
    disk = {key for key, failure in failures.items() if failure.kind == "disk" and failure.node and cluster} - tried
    gone = {key for key, failure in failures.items() if failure.kind == "preempted" and nodes_lost}
    tried |= full | disk
    told = [f"{len(full)} that ran out of memory, alone on a GPU or node"] if full else []
    told += [f"{len(disk)} that met a full disk, on another node where there is one"] if disk else []
    told += [f"{len(gone)} that lost their nodes"] if gone else []
    return _taken_up(now, full | disk | gone), f"launched again: {'; '.join(told)}" if told else ""


def after_kill(before: Plan, now: Plan, kills: Mapping[str, int], told: str, *, most: int) -> Plan:
    """What is launched after Ray has killed a worker for memory: of the runs of ``before`` those that ``now`` lack
    something, less those that were at work at more than ``most`` kills, which fail, and those that wait for them. Any
    other that was at work at a kill gets a node for itself.

    ``kills``: by key, how often a run was at work when that happened; ``told``: what Ray said of it.
    """
    keys = {planned.key for planned in before.runs}
    gone: dict[str, PlannedRun] = {}
    for planned in now.runs:
        waits = [need for need in planned.needs if need in gone]
        if planned.key not in keys or waits or (not planned.done and kills.get(planned.key, 0) > most):
            gone[planned.key] = planned
        if planned.key in keys and planned.key in gone:
            planned.folder.write_failure(not_started(waits) if waits else failure_of_death(told, alone=True))
    left = without(now, gone.values())
    return replace(left, runs=tuple(replace(own, alone=kills.get(own.key, 0) > 0) for own in left.runs))


def _only(plan: Plan, wanted: Collection[str]) -> Plan:
    taken = {need for planned in plan.runs if planned.key in wanted for need in planned.needs}
    runs = tuple(planned for planned in plan.runs if planned.key in wanted or planned.key in taken)
    return replace(plan, runs=runs, cells=sum(len(planned.evaluations) for planned in runs))


def last_failure(folder: RunFolder) -> Failure | None:
    """Raises UnreadableResultError where the file is damaged."""
    try:
        return folder.failure()
    except ValueError as error:
        raise UnreadableResultError(folder, "failure.json", error) from error
