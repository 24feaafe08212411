"""What a search would take, printed; nothing is launched."""

import optuna
from rich.console import Console

from sweeps.engine.estimate import slots, speeds
from sweeps.engine.moments import about
from sweeps.engine.plan import Plan, make_plan
from sweeps.engine.plan_text import lines
from sweeps.engine.search_asked import SearchAsked
from sweeps.engine.search_finals import LEAST_SEEDS
from sweeps.engine.search_path import MOST, trainings_at_most
from sweeps.engine.search_study import done, reaching_studies
from sweeps.engine.search_training import REDUCTION, Searching


def show_search_plan(searching: Searching, asked: SearchAsked, name: str, console: Console) -> None:
    """At most so much: points that are stopped or recorded take less."""
    held, prepared = _held(searching, name), searching.prepared
    points = asked.total(held)
    left = max(0, points - held)
    seeds = max(LEAST_SEEDS, len(prepared.seeds))
    finals = (asked.finals + 1) * seeds - min(asked.finals, points) if asked.finals else 0
    path = trainings_at_most(MOST, seeds=seeds) if asked.finals and asked.path else 0
    plan = make_plan([(searching.example, None)], searching.store(), prepared.fingerprints())
    needs = [run for run in plan.runs[:-1] if not run.trained]
    steps = searching.example.training.steps
    stopping = f"; ASHA keeps one in {REDUCTION} at every rung" if searching.stopping else ""
    texts = {
        "study": name,
        "points": f"{points}, of which {held} are in the study",
        "cheap": f"{asked.cheap_first} points with a frozen backbone first" if asked.cheap_first else "",
        "trainings": f"at most {left} of {steps} steps{stopping}",
        "needs": f"{len(needs)} trainings that points need first" if needs else "",
        "finals": f"at most {finals} more: {asked.finals} best points and the paper's setting, {seeds} seeds"
        if finals
        else "none",
        "path": f"at most {path} more, where {MOST} or more parameters differ" if path else "none",
        "time": _time(plan, left + finals + path, searching),
    }
    console.print(lines({what: text for what, text in texts.items() if text}), highlight=False)


def _held(searching: Searching, name: str) -> int:
    uri = searching.prepared.site.optuna_uri()
    with reaching_studies(uri):
        known = name in optuna.get_all_study_names(uri)
        return len(done(optuna.load_study(storage=uri, study_name=name))) if known else 0


def _time(plan: Plan, trainings: int, searching: Searching) -> str:
    site = searching.prepared.site
    found = speeds(plan, site)
    example = plan.runs[-1]
    if example.key not in found:
        return "unknown: no run alike is recorded, and a step cannot be measured here"
    unknown = [run for run in plan.runs[:-1] if run.steps_left and run.key not in found]
    seconds = sum(run.steps_left * found[run.key].seconds for run in plan.runs[:-1] if run.key in found)
    at_once = slots(site)
    seconds += trainings * searching.example.training.steps * found[example.key].seconds / at_once
    speed = found[example.key]
    beside = ", beside what they need first" if unknown else ""
    return (
        f"at most about {about(seconds)}, {at_once} at a time{beside}: if every training took as long as that of the "
        f"paper's setting ({speed.source}, {speed.where}); looks at val and tests come on top"
    )
