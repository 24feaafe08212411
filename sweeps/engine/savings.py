"""What sharing trainings between tables and embedding each test clip once save, against rerunning table by table."""

from collections.abc import Iterable, Mapping, Sequence

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.folder_scan import Split
from fsar_core.frozen import Frozen
from fsar_core.method import MethodConfig
from sweeps.engine.estimate import Speed
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.work import clips_per_step

Wanted = Mapping[str, Sequence[tuple[RunConfig, EvalConfig | None]]]
"""By table, its cells under every seed, as ``asked`` gives them."""
ClipCounts = Mapping[tuple[str, Split], int]
"""Clips by data set and split."""
FORWARD = 1 / 3
"""Of a training step's time, that a test clip takes of its share: the backward pass takes twice the forward one."""


class Effort(Frozen):
    """All the work, what is recorded already included."""

    trainings: int
    evaluations: int
    clips: int | None
    """Passes of a test clip through backbone and steps; None where a data set's size is not known."""
    training_seconds: float
    """Of the trainings whose speed is known."""
    clip_seconds: float | None
    """Computed: a third of what the clip takes of a training step."""
    matching_seconds: float = 0.0
    """Of the evaluations whose matching something tells."""


class Savings(Frozen):
    """Two ways to the same numbers."""

    table_by_table: Effort
    """Each table trains all that it needs; every evaluation embeds the clips of its episodes anew."""
    together: Effort
    """Each training once; each test clip once for the weights and settings that embed it."""
    trainings_without_speed: int
    """Are in none of the seconds."""


def needed_by(wanted: Wanted, plan: Plan) -> dict[str, dict[str, PlannedRun]]:
    """By table, all its runs by key, those that others need first included."""
    by_id = {planned.run.run_id(): planned for planned in plan.runs}
    by_key = {planned.key: planned for planned in plan.runs}
    found: dict[str, dict[str, PlannedRun]] = {}
    for table, cells in wanted.items():
        own = found[table] = dict[str, PlannedRun]()
        waiting = [by_id[run.run_id()] for run, _ in cells]
        while waiting:
            planned = waiting.pop()
            if planned.key not in own:
                own[planned.key] = planned
                waiting += [by_key[need] for need in planned.needs]
    return found


def savings(
    wanted: Wanted,
    plan: Plan,
    speeds: Mapping[str, Speed],
    matching: Mapping[str, float],
    indices: Mapping[str, ClipIndex],
) -> Savings:
    """``speeds`` by key, ``matching`` in seconds by id of the evaluation. Without the index of a tested data set the
    passes of clips are not known."""
    sizes = clip_counts(indices)
    each = [_alone(own.values(), wanted[table], speeds, matching) for table, own in needed_by(wanted, plan).items()]
    return Savings(
        table_by_table=Effort(
            trainings=sum(one.trainings for one in each),
            evaluations=sum(one.evaluations for one in each),
            clips=sum(one.clips or 0 for one in each),
            training_seconds=sum(one.training_seconds for one in each),
            clip_seconds=sum(one.clip_seconds or 0.0 for one in each),
            matching_seconds=sum(one.matching_seconds for one in each),
        ),
        together=_together(plan, speeds, matching, sizes),
        trainings_without_speed=sum(planned.key not in speeds for planned in plan.runs),
    )


def _alone(
    runs: Iterable[PlannedRun],
    cells: Iterable[tuple[RunConfig, EvalConfig | None]],
    speeds: Mapping[str, Speed],
    matching: Mapping[str, float],
) -> Effort:
    runs = tuple(runs)
    by_id = {planned.run.run_id(): planned.key for planned in runs}
    distinct = {own.eval_id(run): (run, own) for run, own in cells if own is not None}
    passes = [(run, _met(own), by_id[run.run_id()]) for run, own in distinct.values()]
    return Effort(
        trainings=len(runs),
        evaluations=len(distinct),
        clips=sum(count for _, count, _ in passes),
        training_seconds=_training_seconds(runs, speeds),
        clip_seconds=sum(count * clip_seconds(run, speeds.get(key)) for run, count, key in passes),
        matching_seconds=sum(matching.get(eval_id, 0.0) for eval_id in distinct),
    )


def _together(plan: Plan, speeds: Mapping[str, Speed], matching: Mapping[str, float], sizes: ClipCounts) -> Effort:
    passes = [(planned, embedded(planned.run, planned.evaluations, sizes)) for planned in plan.runs]
    counts = [count for _, count in passes if count is not None]
    whole = len(counts) == len(passes)
    seconds = sum((count or 0) * clip_seconds(own.run, speeds.get(own.key)) for own, count in passes)
    return Effort(
        trainings=len(plan.runs),
        evaluations=plan.evaluations(),
        clips=sum(counts) if whole else None,
        training_seconds=_training_seconds(plan.runs, speeds),
        clip_seconds=seconds if whole else None,
        matching_seconds=sum(matching.values()),
    )


def clip_counts(indices: Mapping[str, ClipIndex]) -> ClipCounts:
    """Of what evaluations may ask for."""
    splits: tuple[Split, ...] = ("val", "test")
    return {(name, split): len(index.of(split)) for name, index in indices.items() for split in splits}


def embedded(run: RunConfig, evaluations: Iterable[EvalConfig], sizes: ClipCounts) -> int | None:
    """Passes of clips through the backbone for these evaluations of a run; None where a size is missing. Where frames
    depend on the episode, each episode passes its own clips."""
    passes: dict[str, int | None] = {}
    for own in evaluations:
        method, dataset = own.method or run.method, own.dataset or run.data.dataset
        if method.frame_sampler.by_episode():
            passes[own.canonical_json()] = _met(own)
        else:
            other = "" if _parts(method) == _parts(run.method) else method.canonical_json()
            what = (dataset, own.split, own.frame_sampling, other)
            passes[repr(what)] = sizes.get((dataset, own.split))
    counts = [count for count in passes.values() if count is not None]
    return sum(counts) if len(counts) == len(passes) else None


def clip_seconds(run: RunConfig, speed: Speed | None) -> float:
    """Of one test clip; 0 where no speed is known."""
    return 0.0 if speed is None else FORWARD * speed.seconds / clips_per_step(run)


def _training_seconds(runs: Iterable[PlannedRun], speeds: Mapping[str, Speed]) -> float:
    return sum(own.run.training.steps * speeds[own.key].seconds for own in runs if own.key in speeds)


def _met(evaluation: EvalConfig) -> int:
    """Clips in all its episodes."""
    return evaluation.episodes * evaluation.way * (evaluation.shot + evaluation.queries)


def _parts(method: MethodConfig) -> tuple[Frozen, ...]:
    """All that a clip's features pass through."""
    return (method.backbone, method.frame_sampler, *method.steps)
