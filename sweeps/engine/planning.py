"""From a plan to its report: every number is recorded, measured or computed here, or said to be unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.processes import Progress, silent
from sweeps.engine.estimate import MOST_PROBES, Speed, can_measure, slots, speeds
from sweeps.engine.footprint import Memory, checkpoint_bytes, frame_bytes, memory, record_bytes
from sweeps.engine.matching import Matching, matching
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.plan_report import PlannedEvaluation, PlannedTable, PlannedTraining, PlanReport, State, Totals
from sweeps.engine.savings import ClipCounts, Wanted, clip_counts, clip_seconds, embedded, needed_by, savings
from sweeps.engine.schedule import wall_seconds
from sweeps.engine.site import Site
from sweeps.engine.work import alike, described

CARD = 24 << 30
"""Bytes of the card that most users have."""


def report(
    wanted: Wanted,
    plan: Plan,
    site: Site,
    gpus: int | None = None,
    *,
    indices: Mapping[str, ClipIndex] | None = None,
    measured: bool = True,
    progress: Progress = silent,
) -> PlanReport:
    """``wanted``: by table, what the plan was made of. ``gpus``: to reckon with, in the place of those that are here.
    ``measured`` False: no step is measured or counted, so that it takes as long as the plan did.

    Raises UnreadableResultError for a damaged record, BadRequest where clips lack what a frame sampling needs.
    """
    needed, sizes = needed_by(wanted, plan), clip_counts(indices or {})
    facts = _Facts(
        plan=plan,
        site=site,
        indices=indices or {},
        speeds=speeds(plan, site, probes=MOST_PROBES if measured else 0, progress=progress),
        matching=matching(plan, site, sizes, measured=measured, progress=progress),
        memory=memory(plan, site, CARD, progress=progress) if measured else {},
        tables=_tables_of(needed),
        missing=frozenset(own.eval_id(planned.run) for planned in plan.runs for own in planned.missing),
    )
    trainings = tuple(_trainings(facts))
    return PlanReport(
        tables=tuple(_table(name, wanted[name], runs, facts) for name, runs in needed.items()),
        trainings=trainings,
        totals=_totals(trainings, facts, gpus),
        savings=savings(
            wanted, plan, facts.speeds, {own: told.seconds for own, told in facts.matching.items()}, facts.indices
        ),
        sources=(*_sources(trainings, facts), *_gpu_words(site, gpus)),
    )


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What a report is made of."""

    plan: Plan
    site: Site
    indices: Mapping[str, ClipIndex]
    speeds: Mapping[str, Speed]
    """By key."""
    matching: Mapping[str, Matching]
    """By id of the evaluation."""
    memory: Mapping[str, Memory]
    """By kind of work."""
    tables: Mapping[str, tuple[str, ...]]
    """By key, those that need the run."""
    missing: frozenset[str]
    """Ids of evaluations."""


def _tables_of(needed: Mapping[str, Mapping[str, PlannedRun]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, runs in needed.items():
        for key in runs:
            found.setdefault(key, []).append(name)
    return {key: tuple(names) for key, names in found.items()}


def _table(
    name: str, cells: Sequence[tuple[RunConfig, EvalConfig | None]], runs: Mapping[str, PlannedRun], facts: _Facts
) -> PlannedTable:
    evaluations = {own.eval_id(run) for run, own in cells if own is not None}
    return PlannedTable(
        name=name,
        cells=len(cells),
        trainings=len(runs),
        trainings_known=sum(planned.trained for planned in runs.values()),
        trainings_shared=sum(len(facts.tables[key]) > 1 for key in runs),
        evaluations=len(evaluations),
        evaluations_known=len(evaluations - facts.missing),
    )


def _trainings(facts: _Facts) -> list[PlannedTraining]:
    sizes = clip_counts(facts.indices)
    checkpoint = checkpoint_bytes()
    return [_training(planned, facts, sizes, checkpoint(planned.run)) for planned in facts.plan.runs]


def _training(planned: PlannedRun, facts: _Facts, sizes: ClipCounts, checkpoint: int) -> PlannedTraining:
    run, speed, counted = planned.run, facts.speeds.get(planned.key), facts.memory.get(alike(planned.run))
    tests = _test_seconds(planned, facts, sizes)
    begun = planned.trained or planned.steps_left < run.training.steps
    records = record_bytes(planned.missing, training=not planned.trained)
    return PlannedTraining(
        key=planned.key,
        run_id=run.run_id(),
        what=described(run),
        dataset=run.data.dataset,
        seed=run.seed,
        tables=facts.tables.get(planned.key, ()),
        needs=planned.needs,
        state=_state(planned),
        steps=run.training.steps,
        steps_left=planned.steps_left,
        seconds=None if speed is None else planned.steps_left * speed.seconds + tests,
        seconds_from=None if speed is None else speed.source,
        memory_bytes=None if counted is None else counted.kept,
        disk_bytes=records + (0 if begun else checkpoint),
        evaluations=tuple(_evaluation(run, own, facts) for own in planned.evaluations),
    )


def _test_seconds(planned: PlannedRun, facts: _Facts, sizes: ClipCounts) -> float:
    """Of what is not measured yet, as far as something tells it."""
    run = planned.run
    told = [facts.matching.get(own.eval_id(run)) for own in planned.missing]
    passes = embedded(run, planned.missing, sizes) or 0
    return passes * clip_seconds(run, facts.speeds.get(planned.key)) + sum(own.seconds for own in told if own)


def _evaluation(run: RunConfig, own: EvalConfig, facts: _Facts) -> PlannedEvaluation:
    eval_id, dataset = own.eval_id(run), own.dataset or run.data.dataset
    return PlannedEvaluation(
        eval_id=eval_id,
        dataset=dataset,
        way=own.way,
        shot=own.shot,
        episodes=own.episodes,
        known=eval_id not in facts.missing,
    )


def _state(planned: PlannedRun) -> State:
    if planned.trained:
        return "to measure" if planned.missing else "done"
    return "begun" if planned.steps_left < planned.run.training.steps else "new"


def _totals(trainings: Sequence[PlannedTraining], facts: _Facts, gpus: int | None) -> Totals:
    plan, per_run = facts.plan, facts.site.gpus_per_run
    todo = [own for own in trainings if own.state != "done"]
    seconds = {own.key: own.seconds or 0.0 for own in todo}
    at_once = slots(facts.site) if gpus is None else max(1, int(gpus / (per_run or 1)))
    largest = max(facts.memory.values(), key=lambda own: own.kept, default=None)
    kinds = {alike(planned.run) for planned in plan.runs if not planned.trained}
    return Totals(
        cells=plan.cells,
        trainings=len(trainings),
        trainings_known=sum(planned.trained for planned in plan.runs),
        trainings_begun=sum(own.state == "begun" for own in trainings),
        trainings_first=len({need for own in trainings for need in own.needs}),
        trainings_shared=sum(len(own.tables) > 1 for own in trainings),
        evaluations=plan.evaluations(),
        evaluations_known=plan.evaluations_known(),
        steps_left=sum(own.steps_left for own in todo),
        seconds=sum(seconds.values()),
        unknown=sum(own.seconds is None for own in todo),
        tests_unknown=len(facts.missing - facts.matching.keys()),
        gpus=gpus,
        at_once=at_once,
        gpu_hours=sum(seconds.values()) * per_run / 3600 if per_run else None,
        wall_seconds=wall_seconds(seconds, {own.key: own.needs for own in todo}, at_once),
        memory_bytes=None if largest is None else largest.kept,
        memory_verdict=None if largest is None else largest.verdict(CARD),
        memory_counted=len(kinds & facts.memory.keys()),
        memory_uncounted=len(kinds - facts.memory.keys()),
        disk_bytes=sum(own.disk_bytes for own in trainings),
        frame_bytes=frame_bytes(plan, facts.site, facts.indices) if facts.indices else None,
    )


def _sources(trainings: Sequence[PlannedTraining], facts: _Facts) -> list[str]:
    """One line for each number that is not counted exactly."""
    todo = {own.key for own in trainings if own.state != "done"}
    used = [facts.speeds[key] for key in todo if key in facts.speeds]
    lines: list[str] = []
    for source, how in (("recorded", "runs of the same or a like kind, recorded"), ("measured", "a step measured now")):
        where = sorted({speed.where for speed in used if speed.source == source})
        if where:
            count = sum(speed.source == source for speed in used)
            lines.append(f"time of {count} trainings: {how} on {'; '.join(where)}")
    unknown = len(todo) - len(used)
    if unknown:
        why = "" if can_measure(facts.site) else ", and the site's runs use GPUs, of which this machine has none"
        lines.append(f"time of {unknown} trainings: unknown, in no sum; no run alike is recorded or was measured{why}")
    if used:
        lines.append("embedding in tests: computed, a test clip takes a third of what a clip takes of a training step")
    lines += _matching_words(facts)
    if facts.memory:
        lines.append("memory: counted on a step of each kind, tensors only; a card must hold a tenth and 1 GiB more")
    return [
        *lines,
        "disk: computed; checkpoints from the counted weights, records at most, frames as they will be stored",
    ]


def _matching_words(facts: _Facts) -> list[str]:
    told = [facts.matching.get(own) for own in sorted(facts.missing)]
    recorded, measured = (
        sum(own is not None and own.source == how for own in told) for how in ("recorded", "measured")
    )
    ways = {"as in recorded tests alike": recorded, "some episodes measured now, on noise": measured}
    lines = [f"matching of {count} tests: {how}" for how, count in ways.items() if count]
    unknown = len(told) - recorded - measured
    return [*lines, *([f"matching of {unknown} tests: unknown, in no sum"] if unknown else [])]


def _gpu_words(site: Site, gpus: int | None) -> tuple[str, ...]:
    if gpus is None or site.gpus_per_run:
        return ()
    return (f"the site gives runs no GPU: {gpus} GPUs count as {gpus} runs at a time, as fast as on the site's CPUs",)
