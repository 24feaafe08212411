"""``fsar tables``: what the papers print, and how far each table is."""

from typing import Annotated, NoReturn

import typer
from rich.console import Console

from search_spaces.papers.printed import PrintedTable, printed_tables
from search_spaces.papers.selection import unknown_table
from sweeps.engine.cli import PresetFlag, SiteFlag, ended
from sweeps.engine.paper_flags import OwnDatasetFlag, PaperSeedsFlag
from sweeps.engine.printed_view import as_printed, printed_list
from sweeps.engine.site import BadRequest, load_site
from sweeps.engine.watch import Display


def tables(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="Shown as printed, e.g. sgtm/table5 or a whole paper; none: a list."),
    ] = None,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
) -> NoReturn:
    """List the tables of the papers and how far they are, or show what is printed in some."""

    def carried_out(console: Console) -> bool:
        if names:
            for table in _found(names):
                console.print(as_printed(table))
            return True
        from sweeps.engine.paper_states import table_states  # takes PyTorch

        display = Display(console)
        with display.shown():
            states = table_states(load_site(site), dataset, preset, seeds, display)
        counts = {name: (state.trainings, state.said) for name, state in states.items()}
        console.print(printed_list(printed_tables().values(), counts, console.width))
        return True

    ended(carried_out)


def _found(names: list[str]) -> list[PrintedTable]:
    known = printed_tables()
    papers = tuple(dict.fromkeys(table.paper for table in known.values()))
    faults = [unknown_table(name) for name in names if name not in (*papers, *known)]
    if faults:
        raise BadRequest(faults)
    return [table for name, table in known.items() if name in names or table.paper in names]
