"""The cheap form of a training: everything but its backbone, on clips that are the same every time.

Then the backbone's outputs are computed once per clip and shared by all trainings, so that one takes seconds. It says
something of the full training, not what it reaches: how much is measured in ``benchmarks/search.py``.
"""

from dataclasses import replace

import optuna
from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.cost import trainable_parameters
from fsar_core.given import why_frames
from fsar_core.presets import Recipe
from search_spaces.space import Space

SUFFIX = "/head_only"


class NoCheapFormError(optuna.TrialPruned, ValueError):
    """All reasons why a run cannot be trained on kept features. Optuna takes a point that raises it as pruned."""


def head_only(run: RunConfig) -> RunConfig:
    """The run with its backbone frozen and its train clips as a test sees them, in the middle of each segment where
    tests draw frames at random. Length, optimiser and what it needs first stay, as do val and test.

    Raises NoCheapFormError where features cannot be kept, or nothing is left to train.
    """
    frozen = run.method.backbone.model_copy(update={"frozen": True})
    method = run.method.model_copy(update={"backbone": frozen})
    cheap = run.model_copy(update={"method": method, "data": run.data.deterministic()})
    reasons = why_frames(cheap)
    if not trainable_parameters(cheap):
        reasons.append("nothing but the backbone has weights to train")
    if reasons:
        raise NoCheapFormError(f"a head-only training needs features that can be kept, but {'; '.join(reasons)}")
    return cheap


def head_only_space(space: Space) -> Space:
    """The same points, each with the run of its cheap form; ``<name>/head_only``.

    Its ``define`` raises NoCheapFormError, which to Optuna is a pruned trial, for a point that has none. No recorded
    row of a grid starts it, since those are full trainings.
    """

    def define(trial: BaseTrial, recipe: Recipe) -> RunConfig:
        return head_only(space.define(trial, recipe))

    return replace(space, name=f"{space.name}{SUFFIX}", define=define, grid_points=(), cost=None)
