"""The command line that every sweep script has."""

import os
import sys
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from fsar_core.data.clip_index import BadDataset
from fsar_core.data.frame_cache import CacheError
from search_spaces.space import Space
from sweeps.engine.request import Request
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.site import BadRequest
from sweeps.engine.sweep import Grid, dry_run, run_table
from sweeps.engine.tracking_connection import TrackingError

DONE, FAILED, REFUSED, STOPPED = 0, 1, 2, 130


def sweep_script(grid: Grid, space: Space, about: str | None) -> typer.Typer:
    """A script with two modes: the table of ``grid``, or with ``--search`` a study over ``space``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(help=about)
    def main(  # pyright: ignore[reportUnusedFunction] - typer calls it
        site: Annotated[
            str, typer.Option(help="A shipped site (laptop, one_gpu, cluster) or a path to a TOML file.")
        ] = "laptop",
        dataset: Annotated[str, typer.Option(help="A data set of the site.")] = "motionshapes",
        preset: Annotated[
            str | None, typer.Option(help="clean, laptop or smoke; by default the one that suits the data set.")
        ] = None,
        seeds: Annotated[int, typer.Option(help="Trainings per row, from seeds 0, 1, ...")] = 2,
        search: Annotated[int, typer.Option(help="Instead of the table, try this many points with Optuna.")] = 0,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
        fresh: Annotated[
            bool, typer.Option("--fresh", help="Train again what is recorded, beside the record.")
        ] = False,
    ) -> None:
        request = Request(site=site, dataset=dataset, preset=preset, seeds=seeds, search=search, fresh=fresh)
        _exit(_carried_out(request, grid, space, dry_run=dry_run))

    return app


def _carried_out(request: Request, grid: Grid, space: Space, *, dry_run: bool) -> int:
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "140")))
    try:
        if request.search:
            from sweeps.engine.search_run import run_search  # Ray takes a second to import

            complete = run_search(request, space, console, dry_run=dry_run)
        elif dry_run:
            _dry_run(request, grid, console)
            complete = True
        else:
            complete = run_table(request, grid, console)
    except BadRequest as refusal:
        for fault in refusal.faults:
            console.print(f"[bold red]refused[/] {escape(fault)}", highlight=False, soft_wrap=True)
        return REFUSED
    except (BadDataset, CacheError, TrackingError, UnreadableResultError) as error:
        console.print(f"[bold red]stopped[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return REFUSED
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        return STOPPED
    return DONE if complete else FAILED


def _exit(code: int) -> NoReturn:
    raise typer.Exit(code)


_dry_run = dry_run
