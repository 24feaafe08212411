"""The lessons of a search as sentences, for its page in MLflow and for the terminal."""

from optuna.trial import FrozenTrial

from search_spaces.space import Point
from sweeps.engine.search_importance import MEASURES, BranchImportance, Importance, Measure
from sweeps.engine.search_lessons import CAUTION, Lessons, gain, value_text
from sweeps.engine.search_study import accuracy_text


def headline(lessons: Lessons) -> str:
    """The best point against the paper's setting."""
    if lessons.best is None:
        return "No point has finished yet."
    best = f"Best of {lessons.tried.finished} finished points on val: {accuracy_text(lessons.best)} %"
    best += f" with {setting_words(lessons.best.params)} (trial {lessons.best.number})"
    more = gain(lessons)
    if lessons.paper is None or more is None:
        return f"{best}. The paper's setting has not finished; nothing is compared with it."
    if lessons.paper.number == lessons.best.number:
        return f"{best}. That is the paper's setting."
    own = f"the paper's setting, {accuracy_text(lessons.paper)} %"
    return f"{best}, {more:+.1f} points against {own}: {'; '.join(lessons.changes)}."


def sentences(lessons: Lessons) -> tuple[str, ...]:
    """A line each: what was tried, what mattered, what the papers printed, what to beware of."""
    mattered = [sentence for branch in lessons.importances for sentence in [importance_sentence(branch)] if sentence]
    return (f"Tried: {lessons.tried.words()}.", *mattered, *compared(lessons), CAUTION)


def compared(lessons: Lessons) -> tuple[str, ...]:
    """The papers' own grid, a line per table, and behind the last what was found here."""
    lines = list(lessons.printed)
    if lines and lessons.best is not None:
        here = f"here the best of {lessons.tried.finished} on val is {setting_words(lessons.best.params)}"
        lines[-1] += f"; {here}, {accuracy_text(lessons.best)} %"
    return tuple(f"{line}." for line in lines)


def importance_sentence(branch: BranchImportance) -> str:
    """What mattered most by either measure, and whether the intervals leave that open."""
    where = f" {branch.where}" if branch.where else ""
    if branch.why_not:
        return f"Importance{where}: {branch.why_not}."
    tops = {measure: _top(branch, measure) for measure in MEASURES}
    told = [f"{top[0].parameter} by {m} ({_share(top[0])})" for m, top in tops.items() if top]
    if not told:
        return f"Importance{where}: no parameter stands out."
    unsettled = [m for m, top in tops.items() if len(top) > 1 and top[0].low <= top[1].high]
    open_end = (
        f"; by {' and '.join(unsettled)} the intervals overlap, so that the rank may be chance" if unsettled else ""
    )
    return f"Mattered most{where} ({branch.points} finished points): {', '.join(told)}{open_end}."


def setting_words(point: Point) -> str:
    """``region top, lambda 0.35``."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in point.items()) or "no parameters"


def mark(trial: FrozenTrial, lessons: Lessons) -> str:
    """What a row of the ranking says beside its number."""
    return "paper's setting" if lessons.paper is not None and trial.number == lessons.paper.number else ""


def cost_text(value: float | None) -> str:
    """Four digits; empty where there is none."""
    return "" if value is None else f"{value:.4g}"


def _top(branch: BranchImportance, measure: Measure) -> list[Importance]:
    return sorted(branch.of(measure), key=lambda one: -one.share)


def _share(one: Importance) -> str:
    return f"{one.share:.2f}, interval {one.low:.2f} to {one.high:.2f}"
