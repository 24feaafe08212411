"""Which method, with which of its parts, and trained how? No paper asks; each compares with the others as published.

Conditional: a method's switches and weights are drawn where the method is. Every method meets the same optimiser (rate
and weight decay as multiples of the recipe's) and schedule, so that none is compared at a rate that suits another.
First come all methods with their papers' settings under the recipe, in the order of their years; a method that cannot
run at the recipe's crop is not drawn. I2ST is left out: it trains with instance masks, and whether these are there is
not known to a space, which sees no data.
"""

from optuna.trial import BaseTrial, FixedTrial

from fsar_core.config import RunConfig
from fsar_core.optimizer import Cosine, OptimizerConfig, Schedule, Steps
from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from search_spaces.spaces.joint_methods import JOINT_METHODS
from search_spaces.spaces.own_grid import GridRow, own_grid
from search_spaces.table import Table

_LABELS = {
    "protonet": "ProtoNet",
    "otam": "OTAM",
    "trx": "TRX",
    "bimhm": "Bi-MHM",
    "hyrsm": "HyRSM",
    "strm": "STRM",
    "vim": "VIM",
    "sgtm": "SGTM",
}
_MOST_WARMUP = 0.4
"""Of the steps; the presets have up to a third."""


def space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """The method, what it draws, and then optimiser and schedule of the few-shot training. What a run needs first stays
    as in the recipe, and is shared."""
    name = trial.suggest_categorical("method", fitting(recipe))
    run = JOINT_METHODS[name].draw(trial, recipe)
    changed = {"optimizer": _optimizer(trial, run.optimizer), "schedule": _schedule(trial, run)}
    return RunConfig.model_validate({**dict(run), **changed})


def fitting(recipe: Recipe) -> tuple[str, ...]:
    """The methods that can run at the recipe's crop and number of frames."""
    return tuple(name for name in JOINT_METHODS if _fits(name, recipe))


def grid(recipe: Recipe) -> Table:
    """Ours: every method in its paper's setting."""
    rows = [
        GridRow(name=_LABELS[name], settings={"method": name}, run=paper_run(name, recipe)) for name in fitting(recipe)
    ]
    left_out = tuple(label for label in _LABELS.values() if label not in {row.name for row in rows})
    return own_grid(
        "joint",
        "Methods in their papers' settings, under one recipe (grid of ours)",
        rows,
        recipe,
        reference=rows[0].name,
        notes=(f"Not at this crop and number of frames: {', '.join(left_out)}.",) if left_out else (),
    )


def first_of(recipe: Recipe) -> tuple[Point, ...]:
    """Every method in its paper's setting, with the recipe's optimiser and schedule."""
    usual = {"lr_times": 1.0, "weight_decay_times": 1.0, **_usual_schedule(recipe)}
    if not recipe.episodes.optimizer.weight_decay:
        del usual["weight_decay_times"]
    return tuple({"method": name, **JOINT_METHODS[name].paper(recipe), **usual} for name in fitting(recipe))


def paper_run(name: str, recipe: Recipe) -> RunConfig:
    """A method in its paper's setting. Raises ValueError where it does not fit the recipe."""
    method = JOINT_METHODS[name]
    return method.draw(FixedTrial(dict(method.paper(recipe))), recipe)


def _fits(name: str, recipe: Recipe) -> bool:
    try:
        paper_run(name, recipe)
    except ValueError:
        return False
    return True


def _optimizer(trial: BaseTrial, usual: OptimizerConfig) -> OptimizerConfig:
    changed = {"lr": _times(trial, "lr_times", usual.lr)}
    if usual.weight_decay:
        changed["weight_decay"] = _times(trial, "weight_decay_times", usual.weight_decay)
    return OptimizerConfig.model_validate({**dict(usual), **changed})


def _times(trial: BaseTrial, name: str, usual: float) -> float:
    """A tenth to ten times the usual value; the factor counts with two digits."""
    factor = float(f"{trial.suggest_float(name, 0.1, 10.0, log=True):.2g}")
    return usual if factor == 1 else float(f"{usual * factor:.4g}")


def _schedule(trial: BaseTrial, run: RunConfig) -> Schedule:
    usual, steps = run.schedule, run.training.steps
    kind = trial.suggest_categorical("schedule", _kinds(usual))
    warmup = round(trial.suggest_float("warmup_share", 0.0, _MOST_WARMUP) * steps)
    if kind == "cosine":
        return Cosine(warmup_steps=warmup)
    start, drops = (usual.warmup_start, usual.drops) if isinstance(usual, Steps) else (0.0, ())
    return Steps(warmup_steps=warmup, warmup_start=start, drops=drops if kind == "drops" else ())


def _usual_schedule(recipe: Recipe) -> dict[str, str | float]:
    schedule, steps = recipe.episodes.schedule, recipe.episodes.training.steps
    kind = "cosine" if isinstance(schedule, Cosine) else "drops" if schedule.drops else "constant"
    return {"schedule": kind, "warmup_share": schedule.warmup_steps / steps}


def _kinds(usual: Schedule) -> tuple[str, ...]:
    """``drops``: where the recipe's own are."""
    return ("cosine", "constant", "drops") if isinstance(usual, Steps) and usual.drops else ("cosine", "constant")


SPACES = (Space(name="joint", define=space, first_of=first_of, grid=grid, cost="gflops"),)
