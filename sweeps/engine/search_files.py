"""The files of a search: pictures, numbers for programs, and the whole page."""

import csv
import io
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from search_spaces.space import Space
from sweeps.engine.search_lessons import Lessons
from sweeps.engine.search_page import page
from sweeps.engine.search_plots import draw_search
from sweeps.engine.search_study import KEY, RECORDED, accuracy, cost_name, cost_of, looks


def search_files(study: optuna.Study, space: Space, lessons: Lessons, sections: Sequence[str] = ()) -> dict[str, bytes]:
    """By file name, the page first. Equal lessons give equal bytes."""
    texts = {
        "page.md": page(study, space, lessons, sections, room=None),
        "trials.csv": _trials(study, lessons, lessons.points),
        "importance.csv": _importance(lessons),
    }
    if lessons.front:
        texts["pareto.csv"] = _trials(study, lessons, lessons.front)
    written = {name: text.encode() for name, text in texts.items()}
    return written | draw_search(lessons, cost_name(study))


def _trials(study: optuna.Study, lessons: Lessons, trials: Sequence[FrozenTrial]) -> str:
    """Accuracies are shares; that of a stopped point is of its last look."""
    names, cost = lessons.parameters(), cost_name(study)
    front = {trial.number for trial in lessons.front}
    lines = [["trial", "state", "val_accuracy", "step", cost or "cost", "front", "recorded", "run", *names]]
    for trial in trials:
        price = cost_of(trial)
        seen = looks(trial)
        lines.append(
            [
                str(trial.number),
                trial.state.name.lower(),
                str(accuracy(trial)),
                str(max(seen)) if seen else "",
                "" if price is None else str(price),
                str(trial.number in front).lower() if front else "",
                str(RECORDED in trial.user_attrs).lower(),
                str(trial.user_attrs[KEY]),
                *(str(trial.params.get(name, "")) for name in names),
            ]
        )
    return _csv(lines)


def _importance(lessons: Lessons) -> str:
    lines = [["branch", "finished_points", "parameter", "measure", "share", "low95", "high95", "why_not"]]
    for branch in lessons.importances:
        start = [branch.where or "all points", str(branch.points)]
        if branch.why_not:
            lines.append([*start, "", "", "", "", "", branch.why_not])
        for one in branch.importances:
            numbers = [str(value) for value in (one.share, one.low, one.high)]
            lines.append([*start, one.parameter, one.measure, *numbers, ""])
    return _csv(lines)


def _csv(lines: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()
