"""``fsar run`` and ``fsar retry``: the tables of the papers, trained, measured and recorded."""

from typing import Annotated, NoReturn

import typer
from rich.console import Console

from sweeps.engine.cli import DryRunFlag, FreshFlag, JpegFlag, PresetFlag, SeedsFlag, SiteFlag, ended, show_tables
from sweeps.engine.paper_flags import AllFlag, NamesArgument, OwnDatasetFlag, paper_request


def run(
    names: NamesArgument = None,
    every: AllFlag = False,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: SeedsFlag = 3,
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


def retry(
    names: NamesArgument = None,
    every: AllFlag = False,
    only: Annotated[
        str, typer.Option(help="Kinds of failure, with commas: oom, preempted, bug, needs.")
    ] = "oom,preempted",
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: SeedsFlag = 3,
    jpeg: JpegFlag = None,
) -> NoReturn:
    """Start again only what failed in some way, with the runs that waited for it."""
    from sweeps.engine.failures import KINDS, Kind  # takes PyTorch

    kinds: list[Kind] = [kind for kind in KINDS if kind in only.split(",")]
    wrong = [part for part in only.split(",") if part not in KINDS]
    request, tables_of = paper_request(names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg)
    if wrong:
        fault = f"--only must be of {', '.join(KINDS)}, with commas; got {', '.join(map(repr, wrong))}"
        request = request.with_fault(fault)

    def carried_out(console: Console) -> bool:
        from sweeps.engine.retry import chosen
        from sweeps.engine.sweep import run_tables

        return run_tables(request, tables_of, console, choose=lambda plan: chosen(plan, kinds))

    ended(carried_out)
