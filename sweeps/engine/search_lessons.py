"""What a search found and taught, as numbers and in words. Val alone has spoken; the finals decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces.space import Point, Space
from sweeps.engine.search_importance import BranchImportance, importances
from sweeps.engine.search_printed import printed_words
from sweeps.engine.search_study import RECORDED, TWIN, accuracy, best_first, cost_of, finished, points

CAUTION = (
    "These are accuracies on val of single trainings, which differ by seed as well; the finals, with several seeds on "
    "the same episodes, decide. Points that were stopped early are no results."
)
_CLOSE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Tried:
    """Numbers of trials. Recorded ones are among the finished."""

    finished: int
    stopped: int
    failed: int
    recorded: int
    twins: int
    at_work: int

    def words(self) -> str:
        """What there is of, in one line."""
        parts = [f"{self.finished} finished" + (f" ({self.recorded} recorded before)" if self.recorded else "")]
        rest = {"stopped early": self.stopped, "failed": self.failed, "at work": self.at_work}
        parts += [f"{number} {name}" for name, number in rest.items() if number]
        parts += [f"{self.twins} proposed again and not trained again"] if self.twins else []
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """All that is shown of a study."""

    points: tuple[FrozenTrial, ...]
    """Finished, stopped or at work, as in ``best_first``."""
    best: FrozenTrial | None
    """The finished point with the best val accuracy; None if none has finished."""
    paper: FrozenTrial | None
    """The finished point at the paper's setting."""
    changes: tuple[str, ...]
    """Parameters in which the best point differs from the paper's setting, e.g. ``lambda 0.5 → 0.35``."""
    tried: Tried
    front: tuple[FrozenTrial, ...]
    """With a cost: finished points of which no other is at least as good in both and better in one; cheapest first."""
    importances: tuple[BranchImportance, ...]
    printed: tuple[str, ...]
    """The papers' own grid, a line per table."""

    def results(self) -> tuple[FrozenTrial, ...]:
        """Finished points, the best first."""
        return tuple(trial for trial in self.points if trial.state is TrialState.COMPLETE)

    def parameters(self) -> tuple[str, ...]:
        """Of all points, in the order in which they were first asked for."""
        in_order = sorted(self.points, key=lambda trial: trial.number)
        return tuple(dict.fromkeys(name for trial in in_order for name in trial.params))


def learn(study: optuna.Study, space: Space) -> Lessons:
    """Takes seconds, most of them for the intervals of the importance. ``space``: at the recipe of the study, so that
    its first point is the paper's setting."""
    known, results = points(study), finished(study)
    best = results[0] if results else None
    setting = space.first[0] if space.first else {}
    return Lessons(
        points=tuple(best_first(study)),
        best=best,
        paper=next((trial for trial in results if setting and same_point(trial.params, setting)), None),
        changes=() if best is None or not setting else changes(setting, best.params),
        tried=_tried(study, known),
        front=_front(results),
        importances=importances(known, results),
        printed=printed_words(space.printed),
    )


def changes(before: Point, after: Point) -> tuple[str, ...]:
    """Parameters that differ, with both values; one that only one of the points has is said to come or to go."""
    found: list[str] = []
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            found.append(f"without {name}")
        elif name not in before:
            found.append(f"{name} {value_text(after[name])} comes in")
        elif not _equal(before[name], after[name]):
            found.append(f"{name} {value_text(before[name])} → {value_text(after[name])}")
    return tuple(found)


def same_point(one: Point, other: Point) -> bool:
    """Equal up to rounding."""
    return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)


def value_text(value: object) -> str:
    """Of a parameter, in four digits at most; empty for one that a point does not have."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def gain(lessons: Lessons) -> float | None:
    """Points of val accuracy from the paper's setting to the best point; None where one of them is missing."""
    if lessons.best is None or lessons.paper is None:
        return None
    return 100 * (accuracy(lessons.best) - accuracy(lessons.paper))


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        return abs(one - other) <= _CLOSE * max(1.0, abs(one))
    return one == other


def _tried(study: optuna.Study, known: Sequence[FrozenTrial]) -> Tried:
    states = [trial.state for trial in known]
    every = study.get_trials(deepcopy=False)
    return Tried(
        finished=states.count(TrialState.COMPLETE),
        stopped=states.count(TrialState.PRUNED),
        at_work=states.count(TrialState.RUNNING),
        failed=sum(trial.state is TrialState.FAIL and TWIN not in trial.user_attrs for trial in every),
        recorded=sum(RECORDED in trial.user_attrs for trial in known),
        twins=sum(TWIN in trial.user_attrs for trial in every),
    )


def _front(results: Sequence[FrozenTrial]) -> tuple[FrozenTrial, ...]:
    priced = [
        (cost, -accuracy(trial), trial.number, trial) for trial in results if (cost := cost_of(trial)) is not None
    ]
    front: list[FrozenTrial] = []
    for *_, trial in sorted(priced, key=lambda entry: entry[:3]):
        if not front or accuracy(trial) > accuracy(front[-1]):
            front.append(trial)
    return tuple(front)
