"""The command line that every sweep script has, and what other commands take from it: flags, refusals, exit codes."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from fsar_core.data.clip_index import BadDataset
from fsar_core.data.frame_cache import CacheError
from fsar_core.presets import PRESETS, Recipe
from search_spaces.space import Space
from search_spaces.table import Table
from sweeps.engine.failures import KilledForMemoryError
from sweeps.engine.plan_view import show_plan
from sweeps.engine.request import Request
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.site import BadRequest
from sweeps.engine.sweep import Tables, run_tables
from sweeps.engine.tracking_connection import TrackingError

DONE, FAILED, REFUSED, STOPPED = 0, 1, 2, 130
UNDECIDED, DRIFT = 3, 4
"""Of a comparison with printed values: too few seeds or episodes to tell; not reproduced."""

Grid = Callable[[Recipe], Table]

SiteFlag = Annotated[str, typer.Option(help="A shipped site (laptop, one_gpu, cluster) or a path to a TOML file.")]
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


def sweep_script(grid: Grid, space: Space, about: str | None) -> typer.Typer:
    """A script with two modes: the table of ``grid``, or with ``--search`` a study over ``space``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(help=about)
    def main(  # pyright: ignore[reportUnusedFunction] - typer calls it
        site: SiteFlag = "laptop",
        dataset: DatasetFlag = "motionshapes",
        preset: PresetFlag = None,
        seeds: SeedsFlag = 2,
        search: Annotated[int, typer.Option(help="Instead of the table, try this many points with Optuna.")] = 0,
        jpeg: JpegFlag = None,
        dry_run: DryRunFlag = False,
        fresh: FreshFlag = False,
    ) -> None:
        request = Request(site=site, dataset=dataset, preset=preset, seeds=seeds, search=search, fresh=fresh, jpeg=jpeg)
        ended(lambda console: _carried_out(request, grid, space, console, dry_run=dry_run))

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
    except (BadDataset, CacheError, KilledForMemoryError, TrackingError, UnreadableResultError) as error:
        console.print(f"[bold red]stopped[/] {escape(str(error))}", highlight=False, soft_wrap=True)
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


def _carried_out(request: Request, grid: Grid, space: Space, console: Console, *, dry_run: bool) -> bool:
    if not request.search:
        return show_tables(request, _alone(request, grid), console, dry_run=dry_run)
    from sweeps.engine.search_run import run_search  # Ray takes a second to import

    return run_search(request, space, console, dry_run=dry_run)


def _alone(request: Request, grid: Grid) -> Tables:
    return lambda recipe_of: [grid(recipe_of(request.dataset or ""))]
