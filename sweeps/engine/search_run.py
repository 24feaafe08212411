"""The verb ``--search N``: propose and train, compare the best from several seeds, learn, record, show."""

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import optuna
from rich.console import Console
from rich.text import Text

from fsar_core.config import RunConfig
from fsar_core.frozen import content_id
from fsar_core.presets import Recipe
from search_spaces.head_only import NoCheapFormError, head_only, head_only_space
from search_spaces.space import Space
from search_spaces.table import RecipeOf, TableError, said
from sweeps.engine.data_faults import data_faults
from sweeps.engine.locks import sweep_locks
from sweeps.engine.plan import asked as cells_asked
from sweeps.engine.request import Request, Wanted, prepare
from sweeps.engine.search_asked import SearchAsked
from sweeps.engine.search_finals import Finals, candidates, finals_table, run_finals, val_way
from sweeps.engine.search_held import changed_fault, held_study
from sweeps.engine.search_lessons import Lessons, learn
from sweeps.engine.search_path_run import Path, run_path
from sweeps.engine.search_plan import show_search_plan
from sweeps.engine.search_queue import enqueue_recorded, promote
from sweeps.engine.search_report import report
from sweeps.engine.search_study import done, finished, keeping_studies, open_study
from sweeps.engine.search_training import Searching, complete
from sweeps.engine.site import BadRequest
from sweeps.engine.study_locks import study_locks
from sweeps.engine.watch import Display

PROMOTED = 3
"""One in so many points with a frozen backbone goes in front of the study."""


def run_search(request: Request, space: Space, asked: SearchAsked, console: Console, *, dry_run: bool) -> bool:
    """Completes a study and shows what it found. False if points or finals are missing, as when some failed, or MLflow
    was not reached at the end."""
    with _shown(console) as display:
        searching = found_good(request, space, asked, display)
    name, storage = study_name(searching), searching.prepared.site.storage
    studies = list(_forms(searching, asked))
    if dry_run:
        show_search_plan(searching, asked, studies, console)
        return True
    locks, uri = sweep_locks(storage, [f"search/{own}" for own in studies]), searching.prepared.site.optuna_uri()
    with locks, study_locks(uri, studies), keeping_studies(uri):
        with _shown(console) as display:
            study, points, notes = _studied(searching, asked, name, display)
        with _shown(console) as display:
            lessons = learn(study, searching.space)
            found = _compared(searching, asked, study, lessons, display)
        ended = report(searching, study, lessons, found.finals, found.path, console)
    for note in (*notes, *ended.notes):
        console.print(Text(note), highlight=False, soft_wrap=True)
    return (len(done(study)) >= points or bool(notes)) and found.complete and ended.recorded


def found_good(request: Request, space: Space, asked: SearchAsked, display: Display) -> Searching:
    """Raises BadRequest with everything that is wrong, whether it hinders the study or what comes after it."""
    dataset = request.dataset or ""

    def asks(recipe_of: RecipeOf) -> Wanted:
        recipe = recipe_of(dataset)
        runs = _first_runs(space, recipe)
        cheap = [_cheap_example(space, recipe)] if asked.cheap_first else []
        return [(run, None) for run in (*runs, *cheap)]

    prepared = prepare(request, display, asks)
    recipe = prepared.recipe_of(dataset)
    space = space.at(recipe)
    searching = Searching(
        space=space,
        prepared=prepared,
        recipe=recipe,
        example=_first_runs(space, recipe)[0],
        cost=asked.chosen_cost(space.cost),
        stopping=asked.stops(asked.chosen_cost(space.cost)),
    )
    faults = _changed_faults(_forms(searching, asked))
    if asked.finals:
        table = finals_table(space, recipe, (), val_way=val_way(prepared.indices[dataset]))
        faults += data_faults(prepared.indices, cells_asked(table.cells, (0,)))
    if faults:
        raise BadRequest(faults)
    return searching


def _first_runs(space: Space, recipe: Recipe) -> list[RunConfig]:
    """Of the points that a search tries first, the paper's setting in front. Raises TableError with all reasons why the
    recipe cannot have them."""
    runs: list[RunConfig] = []
    faults: dict[str, None] = {}
    for point in space.at(recipe).first:
        try:
            runs.append(space.run(point, recipe))
        except ValueError as error:
            faults[f"the space {space.name}: {said(error)}"] = None
    if faults:
        raise TableError(list(faults))
    return runs


def _forms(searching: Searching, asked: SearchAsked) -> dict[str, Searching]:
    """By name of its study, the search, and its cheap form if it is asked for."""
    forms = (searching, *([_cheap_form(searching)] if asked.cheap_first else []))
    return {study_name(own): own for own in forms}


def _changed_faults(forms: Mapping[str, Searching]) -> list[str]:
    """Of studies that were begun with another space than there is now. Raises BadRequest as ``held_study`` does."""
    faults: list[str | None] = []
    for name, own in forms.items():
        uri = own.prepared.site.optuna_uri()
        study = held_study(uri, name)
        faults.append(None if study is None else changed_fault(study, uri, own.space, own.recipe))
    return [fault for fault in faults if fault is not None]


def _cheap_example(space: Space, recipe: Recipe) -> RunConfig:
    """The cheap form of the first point that has one. Raises TableError where none has."""
    reasons: dict[str, None] = {}
    for point in space.at(recipe).first:
        try:
            return head_only(space.run(point, recipe))
        except NoCheapFormError as error:
            reasons[str(error)] = None
    raise TableError([f"--cheap-first: {'; '.join(reasons)}; search {space.name} without it"])


def study_name(searching: Searching) -> str:
    """Equal for searches that may share their trials: same space, data, masks, recipe and cost."""
    prepared = searching.prepared
    index = prepared.indices[prepared.dataset]
    settings = content_id(searching.recipe.canonical_json(), index.fingerprint, *prepared.masks.values())
    against = f"-{searching.cost}" if searching.cost else ""
    return f"{searching.space.name}/{prepared.dataset}-{settings}{against}"


def _studied(
    searching: Searching, asked: SearchAsked, name: str, display: Display
) -> tuple[optuna.Study, int, tuple[str, ...]]:
    """The completed study, the points asked for, and why there may be fewer."""
    study = _opened(searching, asked, name)
    points = asked.total(len(done(study)))
    if asked.more:
        display.console.print(f"the study now asks for {points} points; --search {points} goes on", highlight=False)
    if len(done(study)) >= points:
        return study, points, ()
    if asked.cheap_first:
        _cheap_first(searching, asked, study, points, display)
    prepared = searching.prepared
    known = enqueue_recorded(study, searching.space, searching.recipe, searching.store(), prepared.fingerprints())
    if known:
        display.console.print(f"{known} rows of the grid are recorded and start the study", highlight=False)
    searcher = complete(searching, study, points, display)
    counts = {
        "points that failed before were tried again": searcher.tried_again,
        "points failed twice under this code and are left alone": searcher.held_back,
        "points were drawn at random, because the sampler insisted on known ones": searcher.at_random,
    }
    for words, count in counts.items():
        if count:
            display.console.print(f"{count} {words}", highlight=False)
    few = f"the space gave no new point in many draws; it may have no more than {len(done(study))}"
    return study, points, (few,) if searcher.exhausted else ()


def _opened(searching: Searching, asked: SearchAsked, name: str) -> optuna.Study:
    site, dataset = searching.prepared.site, searching.prepared.dataset
    return open_study(site.optuna_uri(), name, searching.space, dataset, sampler=asked.sampler, cost=searching.cost)


def _cheap_first(searching: Searching, asked: SearchAsked, study: optuna.Study, points: int, display: Display) -> None:
    """Points with a frozen backbone, in a study of their own; the best of them go in front of ``study``.

    They take seconds, so that none is stopped unless ``asked`` says so: a ranking needs them at their end.
    """
    cheap = replace(_cheap_form(searching), stopping=asked.stopping is True)
    tried = _opened(cheap, asked, study_name(cheap))
    if len(done(tried)) < asked.cheap_first:
        refused = complete(cheap, tried, asked.cheap_first, display).refused
        if refused:
            display.console.print(f"{refused} points have no form with a frozen backbone", highlight=False)
    best = math.ceil(len(done(tried)) / PROMOTED)
    promoted = promote(tried, study, min(best, points - len(done(study))))
    words = f"with a frozen backbone {len(finished(tried))} of {len(done(tried))} points came to their end; "
    words += f"in front of the study go {promoted} of them"
    display.console.print(words, highlight=False)


def _cheap_form(searching: Searching) -> Searching:
    """The same points with a frozen backbone, by accuracy alone: searches with different costs share their study."""
    example = _cheap_example(searching.space, searching.recipe)
    return replace(searching, space=head_only_space(searching.space), example=example, cost=None)


@dataclass(frozen=True, kw_only=True)
class _Compared:
    finals: Finals | None
    path: Path | None
    complete: bool


def _compared(
    searching: Searching, asked: SearchAsked, study: optuna.Study, lessons: Lessons, display: Display
) -> _Compared:
    """Finals, and the way from the paper's setting to the point that leads in them."""
    prepared = searching.prepared
    points = candidates(study, searching.space, searching.recipe, asked.finals) if asked.finals else ()
    if not points:
        return _Compared(finals=None, path=None, complete=True)
    seeds = len(prepared.seeds)
    finals = run_finals(prepared, searching.space, points, display, seeds=seeds)
    complete = finals.result.state == "done"
    path = None
    if asked.path and complete:
        path = run_path(prepared, searching.space, finals.point, _importance(lessons), display, seeds=seeds)
    return _Compared(finals=finals, path=path, complete=complete and (path is None or path.result.state == "done"))


def _importance(lessons: Lessons) -> dict[str, float]:
    """By parameter, over all points or its branch; means of both measures."""
    found: dict[str, list[float]] = {}
    for branch in lessons.importances:
        for one in branch.importances:
            found.setdefault(one.parameter, []).append(one.share)
    return {name: sum(shares) / len(shares) for name, shares in found.items()}


@contextmanager
def _shown(console: Console) -> Generator[Display]:
    display = Display(console)
    with display.shown():
        yield display
