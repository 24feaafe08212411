"""A search as one page of Markdown: the description of its run in MLflow, and the file ``page.md``."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

import optuna
from optuna.trial import FrozenTrial

from search_spaces.space import Space
from sweeps.engine.formats import escape_markdown
from sweeps.engine.search_costs import cost_label, cost_unit
from sweeps.engine.search_importance import MEASURES, BranchImportance, Importance
from sweeps.engine.search_lessons import Lessons, value_text
from sweeps.engine.search_study import accuracy_text, cost_name, cost_of
from sweeps.engine.search_words import compared, cost_text, headline, mark, sentences
from sweeps.engine.tracking_notes import LONGEST_NOTE, spaced

MOST_ROWS = 100
"""Of the ranking."""
LINKS = 1500
"""Characters that are left free for links to the files."""
_FEWEST_ROWS = 5
_ANY_LENGTH = 10**9
_LEFT = ":--"
_RULE = f"| {_LEFT} "


def page(
    study: optuna.Study,
    space: Space,
    lessons: Lessons,
    sections: Sequence[str] = (),
    room: int | None = LONGEST_NOTE - LINKS,
) -> str:
    """``sections``: Markdown that stands right below the headline, as the finals and the ablation path.

    At most ``room`` characters, None: any number. The ranking gives way first, then the end of the page; both say what
    is left out and where it stands.
    """
    dataset = study.user_attrs.get("dataset", "")
    title = f"### Search {escape_markdown(space.name)} on {escape_markdown(str(dataset))}"
    head = [title, f"**{escape_markdown(headline(lessons))}**", *sections]
    tail = [_importance(lessons), _front(study, lessons), _printed(lessons), _notes(lessons)]
    longest = _ANY_LENGTH if room is None else room

    def made(rows: int) -> str:
        return "\n\n".join(block for block in (*head, _ranking(study, lessons, rows), *tail) if block) + "\n"

    most = min(len(lessons.points), MOST_ROWS)
    least = min(most, _FEWEST_ROWS)
    fitting = bisect_right(range(least, most + 1), longest, key=lambda rows: len(made(rows)))
    return _cut(made(least + max(0, fitting - 1)), longest)


def _cut(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    end = "\n\nThe rest stands in page.md.\n"
    lines = text.split("\n")
    whole = text.count("\n", 0, room - len(end))

    def stands_alone(line: int) -> bool:
        """Says nothing without what comes below: a heading, or the head of a table."""
        return lines[line][:1] in ("", "#") or any(below.startswith(_RULE) for below in lines[line : line + 2])

    while whole and stands_alone(whole - 1):
        whole -= 1
    return "\n".join(lines[:whole]) + end


def _ranking(study: optuna.Study, lessons: Lessons, rows: int) -> str:
    if not lessons.points:
        return ""
    more = len(lessons.points) - rows
    text = "#### Points, the best on val first\n\n" + _trials(study, lessons, lessons.points[:rows])
    return f"{text}\n\nand {more} more in trials.csv" if more else text


def _trials(study: optuna.Study, lessons: Lessons, trials: Sequence[FrozenTrial]) -> str:
    names = [name for name in lessons.parameters() if any(name in trial.params for trial in trials)]
    cost = cost_name(study)
    priced = [cost_unit(cost)] if cost else []

    def line(trial: FrozenTrial) -> list[str]:
        beside = mark(trial, lessons)
        number = f"{trial.number} ({beside})" if beside else str(trial.number)
        costs = [cost_text(cost_of(trial))] if cost else []
        return [number, accuracy_text(trial), *costs, *(value_text(trial.params.get(name)) for name in names)]

    return _table(["trial", "val accuracy %", *priced, *names], map(line, trials))


def _importance(lessons: Lessons) -> str:
    shown = [branch for branch in lessons.importances if branch.importances]
    if not shown:
        return ""
    lines = [
        [_place(branch, name), *(_share(branch.of(measure), name) for measure in MEASURES)]
        for branch in shown
        for name in branch.parameters()
    ]
    note = (
        "Shares with 95 % intervals from resampled points. PED-ANOVA: what sets the best third apart; fANOVA: what "
        "explains the variance. They may rank differently."
    )
    return f"#### What mattered for val accuracy\n\n{_table(['parameter', *MEASURES], lines)}\n\n{note}"


def _place(branch: BranchImportance, name: str) -> str:
    return f"{name}, {branch.where}" if branch.where else name


def _share(found: Sequence[Importance], name: str) -> str:
    one = next((one for one in found if one.parameter == name), None)
    return "" if one is None else f"{one.share:.2f} ({one.low:.2f} to {one.high:.2f})"


def _front(study: optuna.Study, lessons: Lessons) -> str:
    cost = cost_name(study)
    if cost is None or not lessons.front:
        return ""
    head = f"#### Accuracy against {cost_label(cost)}"
    shown = lessons.front[:MOST_ROWS]
    note = "The Pareto front: finished points that no other beats in both."
    return f"{head}\n\n{note}\n\n{_trials(study, lessons, shown)}"


def _printed(lessons: Lessons) -> str:
    return _list("#### The papers' own grid", compared(lessons))


def _notes(lessons: Lessons) -> str:
    left = [line for line in sentences(lessons) if line not in compared(lessons)]
    return _list("#### To read this", left)


def _list(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, "", *(f"- {escape_markdown(line)}" for line in lines)]) if lines else ""


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    escaped: Callable[[str], str] = escape_markdown
    rows = [heads, [_LEFT, *("--:" for _ in heads[1:])], *lines]
    text = "\n".join(
        f"| {' | '.join(row if i == 1 else [escaped(part) for part in row])} |" for i, row in enumerate(rows)
    )
    return spaced(text)
