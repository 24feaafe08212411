"""What a search was asked for, and what can be wrong with that."""

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from search_spaces.space import COSTS, Cost

Sampler = Literal["tpe", "gp", "quasi", "random"]
"""How Optuna proposes points: tree-structured Parzen estimators, Gaussian processes, Sobol's sequence, at random."""

SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
NO_COST = "none"


@dataclass(frozen=True, kw_only=True)
class SearchAsked:
    """The flags that go with ``--search``."""

    points: int
    """Of the study, or with ``more`` beside those that it holds."""
    more: bool = False
    sampler: Sampler = "tpe"
    cost: Cost | None = None
    """What is weighed against accuracy; ``None``: accuracy alone."""
    own_cost: bool = True
    """The space's own cost, if it has one, in the place of ``cost``."""
    cheap_first: int = 0
    """Points that are tried with a frozen backbone first; the best are promoted. 0: none."""
    finals: int = 3
    """Best points that are trained from more seeds and compared with the paper's setting. 0: none."""
    path: bool = True
    """Whether the way from the paper's setting to the best point is measured change by change."""
    stopping: bool | None = None
    """Whether weak points are stopped early. None: where accuracy is all that counts."""

    def total(self, held: int) -> int:
        """Points that the study shall hold, where it holds ``held``."""
        return self.points + held if self.more else self.points

    def chosen_cost(self, own: Cost | None) -> Cost | None:
        """``own``: that of the space."""
        return own if self.own_cost else self.cost

    def stops(self, cost: Cost | None) -> bool:
        """Whether points are stopped by accuracy, where ``cost`` is weighed against it: that would take the cheap end
        off the front."""
        return cost is None if self.stopping is None else self.stopping


@dataclass(frozen=True)
class SearchWords:
    """The flags as they were typed."""

    search: str | None
    sampler: str
    cost: str | None
    cheap_first: int
    finals: int
    path: bool
    stopping: bool | None


def asked_for(words: SearchWords) -> tuple[SearchAsked | None, tuple[str, ...]]:
    """The search, None where there is none or it is wrong; and every fault."""
    if words.search is None:
        return None, _stray(words)
    faults: list[str] = []
    number = re.fullmatch(r"(\+?)([1-9][0-9]{0,6})", words.search)
    if number is None:
        faults.append(
            "--search must be a number of points, at least 1, or +N for so many more than the study holds; "
            f"got {words.search!r}"
        )
    if words.sampler not in SAMPLERS:
        faults.append(f"--sampler must be one of {', '.join(SAMPLERS)}; got {words.sampler!r}")
    if words.cost not in (None, NO_COST, *COSTS):
        faults.append(f"--cost must be one of {', '.join(COSTS)}, {NO_COST}; got {words.cost!r}")
    for flag, value in (("--cheap-first", words.cheap_first), ("--finals", words.finals)):
        if value < 0:
            faults.append(f"{flag} must be a number of points, or 0 for none; got {value}")
    if faults or number is None:
        return None, tuple(faults)
    return SearchAsked(
        points=int(number[2]),
        more=bool(number[1]),
        sampler=cast(Sampler, words.sampler),
        cost=None if words.cost in (None, NO_COST) else cast(Cost, words.cost),
        own_cost=words.cost is None,
        cheap_first=words.cheap_first,
        finals=words.finals,
        path=words.path,
        stopping=words.stopping,
    ), ()


_USUAL = SearchWords(search=None, sampler="tpe", cost=None, cheap_first=0, finals=3, path=True, stopping=None)


def _stray(words: SearchWords) -> tuple[str, ...]:
    changed = [name for name, usual in vars(_USUAL).items() if getattr(words, name) != usual]
    given = ", ".join(_flag(name, getattr(words, name)) for name in changed)
    return (f"{given} go with --search; name a number of points too, or leave them out",) if given else ()


def _flag(name: str, value: object) -> str:
    """As it was typed."""
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
