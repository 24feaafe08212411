"""The ablation path: from the paper's setting to the best point, one change at a time, greedily by measured val gain.

A change is a parameter that both points have with different values; parameters that only the best point has come with
the change that switches them on. Nothing here trains: what points reach is asked of a function.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from sweeps.engine.search_finals import used, words

MOST = 4
"""Changes of a path unless one says otherwise: the trainings grow with its square."""

Measure = Callable[[Sequence[Point]], Sequence[float | None]]
"""Val accuracy of points, in their order; None of one that cannot be trained."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Parameters that go to the best point's values together."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A change that was measured where another one, or this one, was made."""

    words: str
    accuracy: float | None
    """On val, a share; None where it could not be trained."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A change that was made."""

    words: str
    """What it changed of the point before, e.g. ``region top, masked_in_1s 5``."""
    point: Point
    """After it: all parameters that the space asks for."""
    tried: tuple[Tried, ...] = ()
    """All changes that it was chosen among; empty where there was no choice."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """The points of a path; it ends at the best one."""

    start: Point
    steps: tuple[Step, ...]
    without_effect: tuple[str, ...] = ()
    """Parameters that differ, but change nothing of the best point's run."""

    def points(self) -> tuple[Point, ...]:
        return (self.start, *(step.point for step in self.steps))


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The two points between which a path goes, with the parameters that the space asks for."""

    space: Space
    recipe: Recipe
    paper: Point
    best: Point

    @classmethod
    def of(cls, space: Space, recipe: Recipe, best: Point) -> "Ends":
        """From the space's paper setting."""
        paper = used(space, recipe, space.first[0])
        return cls(space=space, recipe=recipe, paper=paper, best=used(space, recipe, best))

    def differing(self) -> tuple[str, ...]:
        """Parameters that both have, with other values."""
        return tuple(name for name, value in self.paper.items() if self.best.get(name, value) != value)

    def between(self, changed: Sequence[str]) -> Point | None:
        """The paper's setting with some parameters of the best point; None where that is no point of the space."""
        mixed = {**self.best, **self.paper, **{name: self.best[name] for name in changed}}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "The value .* is out of")  # Optuna only warns
                return used(self.space, self.recipe, mixed)
        except (ValueError, UserWarning):
            return None

    def run_id(self, point: Point) -> str:
        return self.space.run(point, self.recipe).run_id()


def changes(ends: Ends, importance: Mapping[str, float], most: int = MOST) -> tuple[Change, ...]:
    """At most so many, the most important first; if more parameters differ, the least important ones are one change.

    Parameters without a known importance count as least important.
    """
    names = sorted(ends.differing(), key=lambda name: -importance.get(name, 0.0))
    alone = names if len(names) <= most else names[: most - 1]
    rest = names[len(alone) :]
    return tuple(Change(names=(name,)) for name in alone) + ((Change(names=tuple(rest)),) if rest else ())


def trainings_at_most(changes: int, *, seeds: int = 3) -> int:
    """Of a path of so many changes: every change that may come next is tried with seed 0, and each point of the path
    is then trained from all ``seeds``. Both ends come from the finals."""
    tried = sum(range(2, changes + 1))
    return tried + max(0, changes - 1) * (seeds - 1)


def greedy(ends: Ends, possible: Sequence[Change], measure: Measure) -> Way:
    """Makes the change that gains most, or loses least, until the best point is reached; the first of ``possible`` wins
    a tie. Where no change alone gives another point that can be trained, all that are left are made together."""
    made: list[str] = []
    left = list(possible)
    steps: list[Step] = []
    point = ends.paper
    while left and ends.run_id(point) != ends.run_id(ends.best):
        options = _options(ends, made, left, point)
        chosen, tried = left, tuple[Tried, ...]()
        if len(left) > 1 and options:
            found = measure([option for _, option in options])
            tried = tuple(
                Tried(words=words(option, point), accuracy=own) for (_, option), own in zip(options, found, strict=True)
            )
            reached = [(own, change) for (change, _), own in zip(options, found, strict=True) if own is not None]
            if reached:
                chosen = [max(reached, key=lambda pair: pair[0])[1]]
        made += [name for change in chosen for name in change.names]
        left = [change for change in left if change not in chosen]
        before, after = point, ends.between(made)
        point = after if left and after is not None else ends.best
        steps.append(Step(words=words(point, before), point=point, tried=tried))
    return Way(
        start=ends.paper,
        steps=tuple(steps),
        without_effect=tuple(name for change in left for name in change.names),
    )


def _options(ends: Ends, made: Sequence[str], left: Sequence[Change], point: Point) -> list[tuple[Change, Point]]:
    """What each change alone gives, where that is a point, and another run than now."""
    now = ends.run_id(point)
    mixed = [(change, ends.between([*made, *change.names])) for change in left]
    return [(change, own) for change, own in mixed if own is not None and ends.run_id(own) != now]
