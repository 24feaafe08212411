"""How much each parameter of a search mattered for val accuracy, by two measures, with intervals from a bootstrap.

Only finished points count: what a stopped one would have reached is not known. The two measures ask different things
and may rank differently. PED-ANOVA (Watanabe et al., 2023): how far the values of the best third stand apart from those
of all points. fANOVA (Hutter et al., 2014): the share of the variance that the parameter alone explains, by a forest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, create_trial

from sweeps.engine.search_branches import Branch, branches, common
from sweeps.engine.search_study import accuracy

Measure = Literal["PED-ANOVA", "fANOVA"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
LEAST = 8
"""Finished points, below which nothing is said."""
_BEST = 1 / 3
"""Share of the points that PED-ANOVA compares with all: a tenth of 20 points would be two, which chance picks."""
_FULL, _SMALL = 64, 8
"""Trees of a forest: for the estimate, and for a repetition of the bootstrap."""
_REPETITIONS: Mapping[Measure, tuple[int, int, int]] = {"PED-ANOVA": (100, 300, 30_000), "fANOVA": (40, 100, 4_000)}
"""Of the bootstrap, at least and at most; between them so many as make this number of points."""


@dataclass(frozen=True)
class Importance:
    """Shares of the parameters of one branch; each measure sums to 1."""

    parameter: str
    measure: Measure
    share: float
    low: float
    high: float
    """Ends of the 95 % percentile interval over resampled points. The share itself may lie outside of it."""


@dataclass(frozen=True)
class BranchImportance:
    """What mattered among the finished points of a branch."""

    where: str
    """The branch in words; empty for the parameters that all points have."""
    points: int
    """Finished ones."""
    importances: tuple[Importance, ...]
    """Parameters from the most important down, by the mean of both measures; empty if nothing can be said."""
    why_not: str = ""

    def of(self, measure: Measure) -> tuple[Importance, ...]:
        return tuple(one for one in self.importances if one.measure == measure)

    def parameters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.parameter for one in self.importances))


def importances(trials: Sequence[FrozenTrial], finished: Sequence[FrozenTrial]) -> tuple[BranchImportance, ...]:
    """First the parameters that all ``trials`` have, then those of each branch, within that branch.

    ``trials``: all points of a study, by which branches are told; ``finished``: those of them with a result. On
    one core about 4 seconds a branch up to 100 points, a minute at 1,000. Equal trials give equal numbers.
    """
    return tuple(_of_branch(branch, finished) for branch in branches(trials))


def _of_branch(branch: Branch, finished: Sequence[FrozenTrial]) -> BranchImportance:
    trials = sorted((t for t in finished if t.number in branch.numbers), key=lambda trial: trial.number)
    space = common(trials)
    names = [name for name in space if len({trial.params[name] for trial in trials}) > 1]
    why_not = _why_not(len(trials), branch, names, {_accuracy(trial) for trial in trials})
    if why_not:
        return BranchImportance(branch.where, len(trials), (), why_not)
    points = [_plain(trial, {name: space[name] for name in names}) for trial in trials]
    found = [one for measure in MEASURES for one in _measured(measure, points, names)]
    if not found:
        why_not = f"no parameter tells {len(trials)} finished points apart"
    means = {name: sum(one.share for one in found if one.parameter == name) for name in names}
    found.sort(key=lambda one: (-means[one.parameter], one.parameter, MEASURES.index(one.measure)))
    return BranchImportance(branch.where, len(trials), tuple(found), why_not)


def _why_not(points: int, branch: Branch, names: Sequence[str], values: set[float]) -> str:
    if points < LEAST:
        return f"{points} finished, and fewer than {LEAST} points say nothing about {', '.join(branch.own)}"
    if len(values) < 2:
        return f"all {points} finished points have one accuracy"
    if len(names) < 2:
        return f"shares need two parameters that vary; of {points} finished points " + (
            f"only {names[0]} varies" if names else "none varies"
        )
    return ""


def _measured(measure: Measure, points: Sequence[FrozenTrial], names: Sequence[str]) -> list[Importance]:
    whole = _shares(_evaluator(measure, _FULL, 0), points, names)
    rng = np.random.default_rng(0)
    drawn: list[NDArray[np.float64]] = []
    for i in range(_repetitions(measure, len(points))):
        again = [points[k] for k in rng.integers(len(points), size=len(points))]
        shares = _shares(_evaluator(measure, _SMALL, i), again, names)
        if shares is not None:
            drawn.append(shares)
    if whole is None or not drawn:
        return []
    low, high = np.quantile(np.stack(drawn), (0.025, 0.975), axis=0)
    return [Importance(name, measure, *map(float, (whole[i], low[i], high[i]))) for i, name in enumerate(names)]


def _repetitions(measure: Measure, points: int) -> int:
    least, most, together = _REPETITIONS[measure]
    return max(least, min(most, together // points))


def _evaluator(measure: Measure, trees: int, seed: int) -> BaseImportanceEvaluator:
    if measure == "fANOVA":
        return FanovaImportanceEvaluator(n_trees=trees, seed=seed)
    return PedAnovaImportanceEvaluator(target_quantile=_BEST)


def _shares(
    evaluator: BaseImportanceEvaluator, points: Sequence[FrozenTrial], names: Sequence[str]
) -> NDArray[np.float64] | None:
    """None where the draw says nothing: all accuracies equal, no tree of fANOVA that tells points apart, or no
    parameter that stands out at all."""
    if _says_nothing([cast(float, point.value) for point in points], evaluator):
        return None
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trials(points)
    try:
        found = evaluator.evaluate(study, params=list(names))
    except RuntimeError as error:
        if "zero total variance" not in str(error):
            raise
        return None
    raw = np.array([float(found[name]) for name in names])
    return raw / raw.sum() if raw.sum() > 0 else None


def _says_nothing(values: Sequence[float], evaluator: BaseImportanceEvaluator) -> bool:
    """Equal accuracies; for PED-ANOVA also ties that make the best third all there is."""
    if len(set(values)) < 2:
        return True
    cut = sorted(values, reverse=True)[int(np.ceil(_BEST * len(values))) - 1]
    return isinstance(evaluator, PedAnovaImportanceEvaluator) and min(values) >= cut


def _plain(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """The point with accuracy as its one value."""
    params = {name: trial.params[name] for name in space}
    return create_trial(params=params, distributions=dict(space), value=_accuracy(trial))


def _accuracy(trial: FrozenTrial) -> float:
    """Equal where two differ by rounding alone: fANOVA stops at such a pair, PED-ANOVA takes it for a best third."""
    return round(accuracy(trial), 9)
