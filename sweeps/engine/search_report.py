"""The end of a search: its page, its files, its place in MLflow, and what a person sees."""

from dataclasses import dataclass

import optuna
from rich.console import Console
from rich.text import Text

from sweeps.engine.formats import escape_markdown, markdown, terminal
from sweeps.engine.plan import make_plan
from sweeps.engine.records import write_aside
from sweeps.engine.search_files import search_files
from sweeps.engine.search_finals import Finals
from sweeps.engine.search_lessons import Lessons
from sweeps.engine.search_page import page
from sweeps.engine.search_path_run import Path
from sweeps.engine.search_path_view import path_lines, path_markdown, path_view
from sweeps.engine.search_study import KEY, finished, stopped
from sweeps.engine.search_training import Searching
from sweeps.engine.search_view import show
from sweeps.engine.sweep import address, opened_tracking
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_connection import TrackingError
from sweeps.engine.tracking_notes import run_link
from sweeps.engine.tracking_search import record_search


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Where the end of a search went."""

    recorded: bool
    """In MLflow, with its finals and its path."""
    notes: tuple[str, ...]
    """For the reader, after everything else."""


def report(
    searching: Searching,
    study: optuna.Study,
    lessons: Lessons,
    finals: Finals | None,
    path: Path | None,
    console: Console,
) -> Ended:
    """Shows, writes and records it."""
    sections = _sections(finals, path)
    files = search_files(study, searching.space, lessons, sections)
    folder = searching.prepared.site.storage / "searches" / study.study_name
    for name, content in files.items():
        write_aside(folder / name, content)
    show(study, lessons, console)
    _show_finals(finals, path, console)
    where, trouble = _recorded(searching, study, page(study, searching.space, lessons, sections), files)
    troubles = [trouble, *(own.ended.trouble for own in (finals, path) if own is not None)]
    lines = (
        f"files   {folder}/{{page.md,*.png,*.pdf,*.csv}}",
        f"MLflow  {where}",
        *(f"not recorded in MLflow: {own}" for own in dict.fromkeys(map(str, filter(None, troubles)))),
    )
    return Ended(recorded=not any(troubles), notes=lines)


def _sections(finals: Finals | None, path: Path | None) -> tuple[str, ...]:
    found: list[str] = []
    if finals is not None:
        found.append(f"#### Finals\n\n{escape_markdown(finals.verdict.words)}\n\n{markdown(finals.result)}")
    if path is not None:
        found.append(f"#### From the paper's setting to the best point\n\n{path_markdown(path)}")
    return tuple(found)


def _show_finals(finals: Finals | None, path: Path | None, console: Console) -> None:
    if finals is not None:
        console.print(terminal(finals.result, console.width))
        console.print(Text(finals.verdict.words, style="bold"))
    if path is not None:
        console.print(path_view(path))
        for line in path_lines(path):
            console.print(Text(line, style="dim"))


def _recorded(
    searching: Searching, study: optuna.Study, description: str, files: dict[str, bytes]
) -> tuple[str, TrackingError | None]:
    prepared = searching.prepared
    try:
        tracking = opened_tracking(prepared)
        _record_trainings(searching, study, tracking)
        parent = record_search(tracking, study, prepared.dataset, description, files)
        return address(prepared.site, run_link(tracking.experiment(f"search/{searching.space.name}"), parent)), None
    except TrackingError as error:
        return "not reached", error


def _record_trainings(searching: Searching, study: optuna.Study, tracking: Tracking) -> None:
    """Those that a killed driver has left open: a point that was recorded meanwhile is not given out again."""
    runs = [(searching.space.run(trial.params, searching.recipe), None) for trial in finished(study)]
    plan = make_plan(runs, searching.store(), searching.prepared.fingerprints())
    tracking.record_runs({own.key: own.folder for own in plan.runs if own.trained})
    lacking = [str(trial.user_attrs[KEY]) for trial in stopped(study)]
    if lacking:
        tracking.record_stopped(lacking)
