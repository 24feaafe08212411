"""The branches of a define-by-run space, told from its points: parameters that some points have and others do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

_MOST_NAMED = 4
"""Values of a condition; of more, only the number is told."""


@dataclass(frozen=True)
class Branch:
    """Points that have the same parameters of their own."""

    where: str
    """In words; empty for what all points have."""
    own: tuple[str, ...]
    """Its parameters, in the order in which they were first asked for."""
    numbers: frozenset[int]
    """Of its trials."""


def branches(trials: Sequence[FrozenTrial]) -> tuple[Branch, ...]:
    """First what all points have, if anything, then the others from the largest down."""
    holders: dict[str, frozenset[int]] = {}
    for name in dict.fromkeys(name for trial in trials for name in trial.params):
        holders[name] = frozenset(trial.number for trial in trials if name in trial.params)
    groups: dict[frozenset[int], list[str]] = {}
    for name, numbers in holders.items():
        groups.setdefault(numbers, []).append(name)
    everybody = frozenset(trial.number for trial in trials)
    ordered = sorted(groups.items(), key=lambda group: -len(group[0]))
    return tuple(
        Branch("" if numbers == everybody else _where(numbers, own, trials, holders), tuple(own), numbers)
        for numbers, own in ordered
    )


def _where(
    numbers: frozenset[int], own: Sequence[str], trials: Sequence[FrozenTrial], holders: Mapping[str, frozenset[int]]
) -> str:
    """The condition, if one parameter's values tell the points of the branch from all others that have it."""
    for name, having in holders.items():
        if name in own or not numbers < having or not _is_choice(name, trials):
            continue
        inside = {trial.params[name]: None for trial in trials if trial.number in numbers}
        outside = {trial.params[name] for trial in trials if trial.number in having - numbers}
        if not outside.isdisjoint(inside):
            continue
        if len(inside) <= _MOST_NAMED:
            return f"where {name} is {' or '.join(map(str, inside))}"
        return f"where {name} is one of {len(inside)} values"
    return f"where {own[0]} is set"


def _is_choice(name: str, trials: Sequence[FrozenTrial]) -> bool:
    """Of numbers, a few points never share one, so that any number would tell them apart."""
    found = (trial.distributions[name] for trial in trials if name in trial.distributions)
    return all(isinstance(one, CategoricalDistribution) for one in found)


def common(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """The parameters that all of the trials have, each with a distribution that holds all its values: the range of one
    may depend on another parameter."""
    if not trials:
        return {}
    names = [name for name in trials[0].params if all(name in trial.params for trial in trials)]
    return {name: _widest([trial.distributions[name] for trial in trials]) for name in names}


def _widest(found: Sequence[BaseDistribution]) -> BaseDistribution:
    first = found[0]
    if all(one == first for one in found):
        return first
    if isinstance(first, CategoricalDistribution):
        return CategoricalDistribution(
            tuple(dict.fromkeys(v for one in found if isinstance(one, CategoricalDistribution) for v in one.choices))
        )
    bounds = [one for one in found if isinstance(one, IntDistribution | FloatDistribution)]
    low, high = min(one.low for one in bounds), max(one.high for one in bounds)
    if all(isinstance(one, IntDistribution) for one in found):
        return IntDistribution(int(low), int(high))
    return FloatDistribution(low, high)
