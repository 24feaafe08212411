"""The verb ``--search N``: prepare, propose and train, record, show. Test clips are never looked at."""

import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import ASHAScheduler
from rich.console import Console
from rich.table import Table as RichTable

from fsar_core.config import RunConfig
from fsar_core.frozen import content_id
from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine.launch import Telling, fit, ray_session
from sweeps.engine.locks import sweep_locks
from sweeps.engine.node_frames import decode_run
from sweeps.engine.plan import make_plan
from sweeps.engine.records import Store
from sweeps.engine.request import Prepared, Request, prepare
from sweeps.engine.search import StudySearcher, accuracy_text, best_first, counted, open_study, reaching_studies
from sweeps.engine.sweep import opened_tracking, origin
from sweeps.engine.tracking_search import record_search
from sweeps.engine.watch import Display, RunWatcher

_SHOWN = 15
REDUCTION = 3
"""ASHA keeps the best third at every rung."""


def run_search(request: Request, space: Space, console: Console, *, dry_run: bool) -> bool:
    """Completes a study of ``request.search`` points and shows it. False if points are missing, as when some failed."""
    points, exhausted = request.search, False
    display = Display(console)
    with display.shown():
        dataset = request.dataset or ""
        prepared = prepare(request, display, lambda recipe_of: [(_example(space, recipe_of(dataset)), None)])
        example = _example(space, prepared.recipe_of(dataset))
        name = study_name(space, prepared)
        if dry_run:
            _print_plan(prepared, name, example, points, console)
            return True
        with sweep_locks(prepared.site.storage, [f"search/{space.name}"]):
            study = open_study(prepared.site.optuna_uri(), name, space)
            if len(_done(study)) < points:
                exhausted = _train(study, space, points, prepared, example, display)
    show(study, console)
    if exhausted:
        console.print(f"the space gave no new point in many draws; it may have no more than {len(_done(study))}")
    record_search(opened_tracking(prepared), space.name, study, prepared.dataset)
    return exhausted or len(_done(study)) >= points


def study_name(space: Space, prepared: Prepared) -> str:
    """Equal for searches that may share their trials: same space, data, masks and recipe."""
    recipe, index = prepared.recipe_of(prepared.dataset), prepared.indices[prepared.dataset]
    settings = content_id(recipe.canonical_json(), index.fingerprint, *prepared.masks.values())
    return f"{space.name}/{prepared.dataset}-{settings}"


def show(study: optuna.Study, console: Console) -> None:
    """The best points; stopped ones are marked, they are no results."""
    ranked = best_first(study)
    names = list(dict.fromkeys(name for trial in ranked for name in trial.params))
    console.print(f"{study.study_name}: {len(_done(study))} points, accuracy on val", highlight=False)
    table = RichTable()
    for heading in ("trial", "val", *names):
        table.add_column(heading, justify="right")
    for trial in ranked[:_SHOWN]:
        table.add_row(str(trial.number), accuracy_text(trial), *(_short(trial.params.get(name)) for name in names))
    console.print(table)
    if len(ranked) > _SHOWN:
        console.print(f"and {len(ranked) - _SHOWN} more in the study and in MLflow")


def _train(
    study: optuna.Study, space: Space, points: int, prepared: Prepared, example: RunConfig, display: Display
) -> bool:
    """True if the space had no more new points."""
    site, recipe = prepared.site, prepared.recipe_of(prepared.dataset)
    decode_run(example, prepared, display)
    store = Store(site.storage)
    searcher = StudySearcher(study, space, recipe, points, store, site, prepared.fingerprints(), origin(prepared))
    scheduler = ASHAScheduler(
        time_attr="step",
        metric="val_accuracy",
        mode="max",
        max_t=example.training.steps + 1,  # a run that reaches its last step ends by itself
        grace_period=example.training.val_every,
        reduction_factor=REDUCTION,
    )
    left = points - len(_done(study))
    needs = [run for run in make_plan([(example, None)], store, prepared.fingerprints()).runs[:-1] if not run.trained]
    steps = left * example.training.steps + sum(run.steps_left for run in needs)
    watcher = RunWatcher(display, opened_tracking(prepared), runs=left + len(needs), steps=steps)
    with ray_session(site):
        fit(searcher, site, Telling(watcher), scheduler)
    return searcher.exhausted


def _done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in counted(study) if trial.state is not TrialState.RUNNING]


def _example(space: Space, recipe: Recipe) -> RunConfig:
    """The first point's run."""
    point = dict(space.first[0]) if space.first else {}
    return space.define(optuna.trial.FixedTrial(point), recipe)


def _print_plan(prepared: Prepared, name: str, example: RunConfig, points: int, console: Console) -> None:
    uri = prepared.site.optuna_uri()
    with reaching_studies(uri):
        known = name in optuna.get_all_study_names(uri)
        done = len(_done(optuna.load_study(storage=uri, study_name=name))) if known else 0
    left = max(0, points - done)
    console.print(f"study         {name}\npoints        {points}, of which {done} are in the study", highlight=False)
    console.print(
        f"steps to do   at most {left * example.training.steps}; ASHA keeps the best third at every rung",
        highlight=False,
    )


def _short(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
