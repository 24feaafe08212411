"""``fsar plan``, ``run`` and ``retry``: the tables of the papers, reckoned, trained, measured and recorded."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from sweeps.engine.cli import DryRunFlag, FreshFlag, JpegFlag, PresetFlag, SiteFlag, ended, show_tables
from sweeps.engine.failures import KINDS, Kind
from sweeps.engine.paper_flags import AllFlag, NamesArgument, OwnDatasetFlag, PaperSeedsFlag, paper_request
from sweeps.engine.plan_view import show_plan
from sweeps.engine.site import Site
from sweeps.engine.sweep import run_tables


def run(
    names: NamesArgument = None,
    every: AllFlag = False,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
    dry_run: DryRunFlag = False,
    fresh: FreshFlag = False,
) -> NoReturn:
    """Start tables of papers, or go on with them: train what is not recorded, measure, record, show.

    Safe to repeat: nothing that is recorded is done again. Ends with 0 when every cell has its number, 1 when some have
    none, 2 when the request was refused.
    """
    request, tables_of = paper_request(
        names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, fresh=fresh, jpeg=jpeg
    )
    ended(lambda console: show_tables(request, tables_of, console, dry_run=dry_run))


def plan(
    names: NamesArgument = None,
    every: AllFlag = False,
    gpus: Annotated[
        int | None, typer.Option(help="Reckon with so many GPUs; by default with what the site has.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure no step: times are those of recorded trainings alike, or unknown.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where plan.json goes; by default into the site's storage.")] = None,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
) -> NoReturn:
    """What tables take: trainings, tests, what is known and shared, hours, memory, disk, and what sharing saves.

    Launches nothing and writes plan.json. Data sets and weights of the papers may be missing.
    """
    request, tables_of = paper_request(names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg)
    request = replace(request, only_planned=True)
    if gpus is not None and gpus < 1:
        request = request.with_fault(f"--gpus must be at least 1, got {gpus}")

    def shown(console: Console) -> bool:
        def place(own: Site) -> Path:
            return out or own.storage / "plan.json"

        show_plan(request, tables_of, console, gpus=gpus, measured=not quick, out=place)
        return True

    ended(shown)


def retry(
    names: NamesArgument = None,
    every: AllFlag = False,
    only: Annotated[str, typer.Option(help=f"Kinds of failure, with commas: {', '.join(KINDS)}.")] = "oom,preempted",
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
) -> NoReturn:
    """Start again only what failed in some way, with the runs that waited for it."""
    kinds: list[Kind] = [kind for kind in KINDS if kind in only.split(",")]
    wrong = [part for part in only.split(",") if part not in KINDS]
    request, tables_of = paper_request(names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg)
    if wrong:
        fault = f"--only must be of {', '.join(KINDS)}, with commas; got {', '.join(map(repr, wrong))}"
        request = request.with_fault(fault)

    def carried_out(console: Console) -> bool:
        from sweeps.engine.retry import chosen

        return run_tables(request, tables_of, console, choose=lambda plan: chosen(plan, kinds))

    ended(carried_out)
