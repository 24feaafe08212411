"""The end of a search in a terminal."""

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.engine.search_costs import cost_unit
from sweeps.engine.search_importance import MEASURES, BranchImportance, Importance
from sweeps.engine.search_lessons import Lessons, value_text
from sweeps.engine.search_study import accuracy_text, cost_name, cost_of
from sweeps.engine.search_words import cost_text, headline, mark, sentences

_SHOWN = 15
"""Points."""
_BAR = 20
"""Characters of a share of 1."""


def show(study: optuna.Study, lessons: Lessons, console: Console) -> None:
    """The best points, the Pareto front marked, what mattered, and the lessons."""
    console.print(Text(f"{study.study_name}: {lessons.tried.words()}"))
    console.print(Text(headline(lessons), style="bold"))
    if lessons.points:
        console.print(_points(study, lessons, console.width))
    if len(lessons.points) > _SHOWN:
        console.print(f"and {len(lessons.points) - _SHOWN} more in trials.csv and in MLflow")
    for branch in lessons.importances:
        if branch.importances:
            console.print(_bars(branch))
    for line in sentences(lessons)[1:]:
        console.print(Text(line, style="dim"))


def _points(study: optuna.Study, lessons: Lessons, width: int) -> Table:
    shown = lessons.points[:_SHOWN]
    names = [name for name in lessons.parameters() if any(name in trial.params for trial in shown)]
    together = len(names) > max(1, (width - 50) // 12)
    cost, front = cost_name(study), {trial.number for trial in lessons.front}
    table = Table(header_style="bold")
    for heading in ("trial", "val %", *([cost_unit(cost)] if cost else [])):
        table.add_column(heading, justify="right")
    for heading in ["parameters"] if together else names:
        table.add_column(heading, justify="left" if together else "right")
    marked = bool(front) or any(mark(trial, lessons) for trial in shown)
    if marked:
        table.add_column("")
    for trial in shown:
        costs = [cost_text(cost_of(trial))] if cost else []
        notes = [note for note in (mark(trial, lessons), "front" if trial.number in front else "") if note]
        values = [_joined(trial)] if together else [value_text(trial.params.get(name)) for name in names]
        cells = [str(trial.number), accuracy_text(trial), *costs, *values, *([", ".join(notes)] if marked else [])]
        table.add_row(*map(Text, cells), style="" if trial.state is TrialState.COMPLETE else "dim")
    return table


def _joined(trial: FrozenTrial) -> str:
    return ", ".join(f"{name} {value_text(value)}" for name, value in trial.params.items())


def _bars(branch: BranchImportance) -> Table:
    where = f" {branch.where}" if branch.where else ""
    title = f"what mattered{where}, {branch.points} finished points (share, 95 % interval)"
    table = Table(title=Text(title), title_justify="left", box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for measure in MEASURES:
        table.add_column(measure)
    for name in branch.parameters():
        own = [next((one for one in branch.of(m) if one.parameter == name), None) for m in MEASURES]
        table.add_row(Text(name), *map(_bar, own))
    return table


def _bar(one: Importance | None) -> Text:
    if one is None:
        return Text("")
    full = round(_BAR * one.share)
    return Text(f"{'█' * full}{'·' * (_BAR - full)} {one.share:.2f} [{one.low:.2f}, {one.high:.2f}]")
