"""The command line that every sweep script has, and what other commands take from it: flags, refusals, exit codes."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from fsar_core.data.clip_index import BadDataset
from fsar_core.data.frame_cache import CacheError
from fsar_core.presets import PRESETS, Recipe
from search_spaces.space import Space
from search_spaces.table import Table
from search_spaces.variants import unknown
from sweeps.engine.failures import DISK_TODO, KilledForMemoryError, StorageLostError, StudyLostError, no_disk
from sweeps.engine.plan_view import show_plan
from sweeps.engine.request import Request
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.search_asked import SearchWords, asked_for
from sweeps.engine.search_flags import (
    CheapFlag,
    CostFlag,
    FinalsFlag,
    PathFlag,
    SamplerFlag,
    SearchFlag,
    StoppingFlag,
)
from sweeps.engine.site import BadRequest
from sweeps.engine.sweep import Tables, run_tables
from sweeps.engine.tracking_connection import TrackingError

DONE, FAILED, REFUSED, STOPPED = 0, 1, 2, 130
_TOLD = (
    BadDataset,
    CacheError,
    KilledForMemoryError,
    StorageLostError,
    StudyLostError,
    TrackingError,
    UnreadableResultError,
)
"""Errors whose text is all that a user needs."""
UNDECIDED, DRIFT = 3, 4
"""Of a comparison with printed values: too few seeds or episodes to tell; not reproduced."""

Grid = Callable[[Recipe], Table]

SiteFlag = Annotated[
    str,
    typer.Option(
        envvar="FSAR_SITE",
        help="A shipped site (laptop, one_gpu, workstation, cluster, ...) or a path to a TOML file.",
    ),
]
DatasetFlag = Annotated[str, typer.Option(help="A data set of the site.")]
PresetFlag = Annotated[
    str | None, typer.Option(help=f"{', '.join(PRESETS)}; by default the one that suits the data set.")
]
SeedsFlag = Annotated[int, typer.Option(help="Trainings per row, from seeds 0, 1, ...")]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
JpegFlag = Annotated[
    int | None,
    typer.Option(
        help="Store frames as JPEG of this quality, 1 to 100: a tenth of the disk, but slightly other pixels, and so "
        "another training. By default exact frames."
    ),
]
FreshFlag = Annotated[bool, typer.Option("--fresh", help="Train again what is recorded, beside the record.")]


def sweep_script(spaces: Sequence[Space], about: str | None) -> typer.Typer:
    """A script with two modes: the papers' grid, or with ``--search`` a study over the space.

    Of several spaces, ``--method`` takes one; the first unless it is named.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    methods = tuple(space.name.rpartition("/")[2] for space in spaces)

    @app.command(help=about)
    def main(  # pyright: ignore[reportUnusedFunction] - typer calls it
        site: SiteFlag = "laptop",
        dataset: DatasetFlag = "motionshapes",
        preset: PresetFlag = None,
        seeds: SeedsFlag = 2,
        method: Annotated[str, typer.Option(help=f"One of {', '.join(methods)}.", hidden=len(spaces) == 1)] = methods[
            0
        ],
        search: SearchFlag = None,
        sampler: SamplerFlag = "tpe",
        cost: CostFlag = None,
        cheap_first: CheapFlag = 0,
        finals: FinalsFlag = 3,
        path: PathFlag = True,
        stopping: StoppingFlag = None,
        jpeg: JpegFlag = None,
        dry_run: DryRunFlag = False,
        fresh: FreshFlag = False,
    ) -> None:
        asked, faults = asked_for(SearchWords(search, sampler, cost, cheap_first, finals, path, stopping))
        if method not in methods:
            faults = (*faults, unknown("method of this sweep", method, methods))
        request = Request(
            site=site, dataset=dataset, preset=preset, seeds=seeds, search=asked, fresh=fresh, jpeg=jpeg, faults=faults
        )
        space = spaces[methods.index(method)] if method in methods else spaces[0]
        ended(lambda console: _carried_out(request, space, console, dry_run=dry_run))

    return app


def show_table(request: Request, grid: Grid, *, dry_run: bool) -> NoReturn:
    """Completes a table on one data set and shows it, or with ``dry_run`` shows what there is to do; then ends the
    command."""
    ended(lambda console: show_tables(request, _alone(request, grid), console, dry_run=dry_run))


def show_tables(request: Request, tables_of: Tables, console: Console, *, dry_run: bool) -> bool:
    """Whether everything is complete; a dry run always is."""
    if not dry_run:
        return run_tables(request, tables_of, console)
    show_plan(request, tables_of, console)
    return True


def ended(action: Callable[[Console], bool | int]) -> NoReturn:
    """Ends the command by what ``action`` gives: whether everything is complete, or an exit code. Refusals are shown, a
    line each."""
    console = plain_console()
    try:
        outcome = action(console)
    except BadRequest as refusal:
        for fault in refusal.faults:
            console.print(f"[bold red]refused[/] {escape(fault)}", highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from None
    except _TOLD as error:
        console.print(f"[bold red]stopped[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from None
    except OSError as error:
        if not no_disk(error):
            raise
        where = f"{error.filename}: {error.strerror}; {DISK_TODO}"
        console.print(f"[bold red]stopped[/] {escape(where)}", highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from None
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        raise typer.Exit(STOPPED) from None
    if isinstance(outcome, bool):
        outcome = DONE if outcome else FAILED
    raise typer.Exit(outcome)


def plain_console() -> Console:
    """As wide as the terminal; where there is none, as ``COLUMNS`` says, or 140."""
    return Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "140")))


def _carried_out(request: Request, space: Space, console: Console, *, dry_run: bool) -> bool:
    if request.search is None:
        return show_tables(request, _alone(request, space.grid), console, dry_run=dry_run)
    from sweeps.engine.search_run import run_search  # Ray takes a second to import

    return run_search(request, space, request.search, console, dry_run=dry_run)


def _alone(request: Request, grid: Grid) -> Tables:
    return lambda recipe_of: [grid(recipe_of(request.dataset or ""))]
