"""What a search would take, printed; nothing is launched."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from sweeps.engine.estimate import MOST_PROBES, Speed, slots, speeds
from sweeps.engine.moments import about
from sweeps.engine.plan import Plan, PlannedRun, make_plan
from sweeps.engine.plan_text import lines
from sweeps.engine.search_asked import SearchAsked
from sweeps.engine.search_finals import LEAST_SEEDS, used
from sweeps.engine.search_held import held_study
from sweeps.engine.search_path import MOST, trainings_at_most
from sweeps.engine.search_stopping import REDUCTION
from sweeps.engine.search_study import done
from sweeps.engine.search_training import Searching
from sweeps.engine.site import Site

_PROBING_S = 60.0
"""After so many seconds no further point is measured."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Trainings, at most: points that are stopped or recorded take less."""

    points: int
    held: int
    cheap: int
    """With a frozen backbone."""
    seeds: int
    finals: int
    parameters: int
    """That can differ along the path."""
    path: int

    @property
    def left(self) -> int:
        return max(0, self.points - self.held)

    def trainings(self) -> int:
        """Beside what points need first."""
        return self.cheap + self.left + self.finals + self.path


def show_search_plan(searching: Searching, asked: SearchAsked, studies: Sequence[str], console: Console) -> None:
    """``studies``: names of the search's, and of that of its cheap form if there is one."""
    work = _work(searching, asked, studies)
    store, prints = searching.store(), searching.prepared.fingerprints()
    runs = {run.run_id(): run for run in (searching.space.run(p, searching.recipe) for p in searching.space.first)}
    plans = [make_plan([(run, None)], store, prints) for run in runs.values()]
    needs = {run.key: run for plan in plans for run in plan.runs[:-1] if not run.trained}
    steps = searching.example.training.steps
    stopping = f"; ASHA keeps one in {REDUCTION} at every rung" if searching.stopping else ""
    texts = {
        "study": studies[0],
        "points": f"{work.points}, of which {work.held} are in the study",
        "cheap": f"at most {work.cheap} points with a frozen backbone first, each shorter than in full"
        if work.cheap
        else "",
        "trainings": f"at most {work.left} of {steps} steps{stopping}",
        "needs": f"{len(needs)} more, which the first points need before them" if needs else "",
        "finals": f"at most {work.finals} more: {asked.finals} best points and the paper's setting, {work.seeds} seeds"
        if work.finals
        else "none",
        "path": _path_words(work) if asked.finals and asked.path else "none",
        "time": _time(plans, needs, work.trainings() * steps, searching.prepared.site),
    }
    console.print(lines({what: text for what, text in texts.items() if text}), highlight=False)


def _work(searching: Searching, asked: SearchAsked, studies: Sequence[str]) -> _Work:
    uri = searching.prepared.site.optuna_uri()
    found = [held_study(uri, name) for name in studies]
    held, *tried = [0 if study is None else len(done(study)) for study in found]
    points = asked.total(held)
    seeds = max(LEAST_SEEDS, len(searching.prepared.seeds))
    parameters = len(used(searching.space, searching.recipe, searching.space.first[0]))
    return _Work(
        points=points,
        held=held,
        cheap=max(0, asked.cheap_first - sum(tried)) if held < points else 0,
        seeds=seeds,
        finals=(asked.finals + 1) * seeds - min(asked.finals, points) if asked.finals else 0,
        parameters=parameters,
        path=trainings_at_most(min(MOST, parameters), seeds=seeds) if asked.finals and asked.path else 0,
    )


def _path_words(work: _Work) -> str:
    if not work.path:
        return "no more: its two ends are in the finals"
    differing = f"{MOST} or more parameters" if work.parameters > MOST else f"all {work.parameters} parameters"
    return f"at most {work.path} more, where {differing} differ"


def _time(plans: Sequence[Plan], needs: Mapping[str, PlannedRun], steps: int, site: Site) -> str:
    found = _speeds(plans, site)
    known = [found[plan.runs[-1].key] for plan in plans if plan.runs[-1].key in found]
    if not known:
        return "unknown: no run alike is recorded, and a step cannot be measured here"
    slowest, at_once = max(known, key=lambda speed: speed.seconds), slots(site)
    seconds = steps * slowest.seconds / at_once
    seconds += sum(run.steps_left * found[key].seconds for key, run in needs.items() if key in found)
    beside = "" if needs.keys() <= found.keys() else ", beside what points need first"
    measured = f"{len(known)} of the {len(plans)}" if len(known) < len(plans) else f"the {len(plans)}"
    whose = "that of the paper's setting" if len(plans) == 1 else f"the slowest of {measured} that are tried first"
    return (
        f"about {about(seconds)}, {at_once} at a time{beside}: if every training took as long as {whose} "
        f"({slowest.source}, {slowest.where}); others may take longer, stopped ones and those with a frozen backbone "
        "take less; looks at val and tests come on top"
    )


def _speeds(plans: Sequence[Plan], site: Site) -> dict[str, Speed]:
    """By key. A plan at a time: together, points of different methods would count as alike, and one be measured."""
    began, found = time.monotonic(), dict[str, Speed]()
    for plan in plans:
        measuring = time.monotonic() - began < _PROBING_S
        found = speeds(plan, site, probes=MOST_PROBES if measuring else 0) | found
    return found
