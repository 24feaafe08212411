"""How long matching the episodes of tests will take: as recorded tests alike took, else measured on noise here."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.processes import Progress, silent
from fsar_core.frozen import content_id
from fsar_core.matching_time import matching_seconds
from sweeps.engine.estimate import Source, as_here, can_measure
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.savings import ClipCounts
from sweeps.engine.site import Site

_MOST_S = 30.0
"""After so many seconds no further kind is measured."""
_RECORDS = 3
"""Of a kind are read; more would tell little more."""


class Matching(NamedTuple):
    """Of all episodes of one test, beside embedding its clips."""

    seconds: float
    source: Source


class _Test(NamedTuple):
    planned: PlannedRun
    evaluation: EvalConfig
    eval_id: str
    clips: int
    """Of the split that it is on."""

    @property
    def run(self) -> RunConfig:
        return self.planned.run

    @property
    def by_episode(self) -> bool:
        """Whether frames depend on the episode."""
        return (self.evaluation.method or self.run.method).frame_sampler.by_episode()


def matching(
    plan: Plan, site: Site, sizes: ClipCounts, *, measured: bool = True, progress: Progress = silent
) -> dict[str, Matching]:
    """By id, of the plan's evaluations whose time something tells. Those of data of unknown size are left out.

    Raises UnreadableResultError for a damaged record.
    """
    kinds: dict[str, list[_Test]] = defaultdict(list)
    for test in _tests(plan, sizes):
        kinds[_kind(test)].append(test)
    found = {kind: told for kind, tests in kinds.items() if (told := _recorded(tests, plan, site)) is not None}
    missing = Counter(
        {kind: sum(own.evaluation in own.planned.missing for own in tests) for kind, tests in kinds.items()}
    )
    asked = [kind for kind, count in missing.most_common() if count and kind not in found]
    if measured and can_measure(site):
        found |= _measured({kind: kinds[kind][0] for kind in asked}, site, progress)
    return {test.eval_id: told for kind, told in found.items() for test in kinds[kind]}


def _tests(plan: Plan, sizes: ClipCounts) -> Iterable[_Test]:
    for planned in plan.runs:
        for own in planned.evaluations:
            clips = sizes.get((own.dataset or planned.run.data.dataset, own.split))
            if clips is not None and _heads(planned.run, own):
                yield _Test(planned, own, own.eval_id(planned.run), clips)


def _heads(run: RunConfig, evaluation: EvalConfig) -> tuple[str, ...]:
    method = (evaluation.method or run.method).for_test()
    return tuple(f"{head.reads} {head.matcher.canonical_json()}" for head in method.heads)


def _kind(test: _Test) -> str:
    """Equal for tests whose matching takes about the same: steps between backbone and heads are not told apart."""
    run, own = test.run, test.evaluation
    counts = (run.data.frames, run.data.crop, test.clips, own.way, own.shot, own.queries, own.episodes)
    backbone = (own.method or run.method).backbone
    return content_id(backbone.canonical_json(), *_heads(run, own), *map(str, (*counts, test.by_episode)))


def _recorded(tests: Iterable[_Test], plan: Plan, site: Site) -> Matching | None:
    """The mean over a few of runs that were trained on such devices as the site gives to runs. Where frames depend on
    the episode, a record holds the time of the backbone too, and tells nothing."""
    done = [test for test in tests if test.evaluation not in test.planned.missing and not test.by_episode]
    seconds = [own for test in done[:_RECORDS] for own in _seconds(test, plan, site)]
    return Matching(sum(seconds) / len(seconds), "recorded") if seconds else None


def _seconds(test: _Test, plan: Plan, site: Site) -> list[float]:
    folder, dataset = test.planned.folder, test.evaluation.dataset or test.run.data.dataset
    try:
        head = folder.head()
        record = folder.evaluation(test.eval_id, plan.fingerprints[dataset])
    except ValueError as error:
        raise UnreadableResultError(folder, "evaluations", error) from error
    return [record.seconds] if head is not None and record is not None and as_here(head, site) else []


def _measured(kinds: Mapping[str, _Test], site: Site, progress: Progress) -> dict[str, Matching]:
    """Those that most tests wait for first."""
    torch.set_num_threads(max(1, int(site.cpus_per_run)))
    device = torch.device("cuda" if site.gpus_per_run else "cpu")
    began, found = time.monotonic(), dict[str, Matching]()
    for i, (kind, test) in enumerate(kinds.items()):
        if time.monotonic() - began > _MOST_S:
            break
        progress(i, len(kinds))
        try:
            seconds = matching_seconds(test.run, test.evaluation, test.clips, device)
        except torch.OutOfMemoryError:  # then it will not run here either, and its time stays unknown
            continue
        found[kind] = Matching(seconds, "measured")
    progress(len(kinds), len(kinds))
    return found
