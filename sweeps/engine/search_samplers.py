"""How a study proposes points: what ``--sampler`` chooses from."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from sweeps.engine.search_asked import Sampler

_DIMENSIONS = 128


def sampler_of(name: Sampler, seed: int) -> BaseSampler:
    """``tpe``: Optuna's defaults, which know of the points at work; with one objective, parameters that every point has
    are drawn together, with two each on its own, since Optuna knows of a gain by the former for one objective only.
    ``gp``: a Gaussian process over these, the parameters of a branch by ``tpe``, each on its own. ``quasi``: a
    scrambled Sobol sequence, which learns from no trial. ``random``: neither.

    ``seed`` must differ between the drivers of a study, or they draw the same points again.
    """
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    if name == "gp":
        alone = optuna.samplers.TPESampler(seed=seed, multivariate=False)
        return optuna.samplers.GPSampler(seed=seed, independent_sampler=alone, warn_independent_sampling=False)
    return SobolSampler() if name == "quasi" else optuna.samplers.RandomSampler(seed=seed)


class SobolSampler(BaseSampler):
    """Trial i is point i of one sequence, whichever driver asks; every parameter has a dimension of its own.

    So parameters of a branch and categorical ones fill their ranges as evenly as others; Optuna's own ``QMCSampler``
    draws those at random that its first trial lacks.
    """

    def __init__(self) -> None:
        from scipy.stats.qmc import Sobol  # takes half a second to import

        self._engine = Sobol(_DIMENSIONS, scramble=True, rng=0)
        self._dimension: dict[str, int] = {}
        self._number, self._point = -1, ()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """No parameter is drawn before it is asked for."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See ``infer_relative_search_space``."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Raises ValueError for a study with more than 128 parameters."""
        if param_name not in self._dimension:
            self._name(study, param_name)
        if trial.number != self._number:
            self._engine.reset()
            if trial.number:
                self._engine.fast_forward(trial.number)
            self._number, self._point = trial.number, self._engine.random(1)[0].tolist()
        return _at(self._point[self._dimension[param_name]], param_distribution)

    def _name(self, study: optuna.Study, param_name: str) -> None:
        """Dimensions go in the order in which the study met the parameters, so that the next driver finds the same."""
        for trial in study.get_trials(deepcopy=False):
            for name in trial.params:
                self._dimension.setdefault(name, len(self._dimension))
        self._dimension.setdefault(param_name, len(self._dimension))
        if len(self._dimension) > _DIMENSIONS:
            raise ValueError(f"sampler 'quasi' has room for {_DIMENSIONS} parameters, got more; use another sampler")


def _at(share: float, range_: BaseDistribution) -> Any:
    """The value at a share (0 <= share < 1) of a range, equally wide steps of it for equally likely values."""
    if isinstance(range_, CategoricalDistribution):
        return range_.choices[int(share * len(range_.choices))]
    if not isinstance(range_, FloatDistribution | IntDistribution):
        raise TypeError(f"sampler 'quasi' knows floats, integers and choices, got {range_}")
    whole = isinstance(range_, IntDistribution)
    low, high = float(range_.low), float(range_.high)
    if range_.log:
        ends = (math.log(low - 0.5 * whole), math.log(high + 0.5 * whole))
        value = math.exp(ends[0] + share * (ends[1] - ends[0]))
        return min(max(round(value), range_.low), range_.high) if whole else min(max(value, low), high)
    if range_.step is None:
        return low + share * (high - low)
    steps = int(share * (round((high - low) / range_.step) + 1))
    return int(low) + steps * int(range_.step) if whole else low + steps * range_.step
