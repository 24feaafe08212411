"""``fsar status``, ``why``, ``table``, ``compare``: what is recorded of the tables of papers. Nothing is launched."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.console import Console

from search_spaces.table import RecipeOf, Table, TableError
from sweeps.engine.cli import DONE, DRIFT, FAILED, UNDECIDED, JpegFlag, PresetFlag, SiteFlag, ended
from sweeps.engine.paper_flags import AllFlag, NamesArgument, OwnDatasetFlag, PaperSeedsFlag, paper_request, write_out
from sweeps.engine.request import Request
from sweeps.engine.sweep import Tables, planned
from sweeps.engine.watch import Display

if TYPE_CHECKING:
    from sweeps.engine.comparison import Worst
    from sweeps.engine.sweep import Sweep

Format = Literal["terminal", "md", "tex", "html", "csv", "png", "pdf"]
_EXIT: "dict[Worst, int]" = {"done": DONE, "undecided": UNDECIDED, "drift": DRIFT, "failed": FAILED}
"""From good to bad."""


def status(
    names: NamesArgument = None,
    every: AllFlag = False,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> NoReturn:
    """How far tables are: cells, trainings, failures by kind, last activity. Ends with 0 when all are complete."""
    request, tables_of = paper_request(names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg)

    def shown(sweep: "Sweep", console: Console) -> bool:
        from sweeps.engine import status as views

        results = sweep.results()
        if as_json:
            typer.echo(json.dumps(views.status_json(results, sweep.plan), indent=1))
        else:
            console.print(views.status(results, sweep.plan))
        return all(result.state == "done" for result in results)

    _look(request, tables_of, shown, quiet=as_json)


def why(
    cell: Annotated[str, typer.Argument(help="TABLE:ROW:COLUMN, or so much of row and column as names one cell.")],
    full: Annotated[bool, typer.Option("--full", help="The whole traceback.")] = False,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
) -> NoReturn:
    """Where a cell's number comes from, how far it is, or why it failed: traceback, host, last lines of the log."""
    given = {"--site": site, "--dataset": dataset, "--preset": preset, "--seeds": seeds, "--jpeg": jpeg}
    flags = " ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    request, tables_of = paper_request(
        [cell.partition(":")[0]], False, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg
    )

    def shown(sweep: "Sweep", console: Console) -> bool:
        from sweeps.engine.find_cell import find_cell
        from sweeps.engine.why import explain

        found = find_cell(sweep.results(), cell)
        console.print(explain(found.result, found.cell, full=full, flags=flags))
        return True

    _look(request, tables_of, shown)


def table(
    names: NamesArgument = None,
    every: AllFlag = False,
    kind: Annotated[Format, typer.Option("--format", help="png and pdf are plots, and need --out.")] = "terminal",
    out: Annotated[Path | None, typer.Option(help="A file for it; by default it is printed.")] = None,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
) -> NoReturn:
    """Show tables as they are recorded now, pending cells too: printed, ours, differences; or write one to a file."""
    request, tables_of = paper_request(names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg)
    if kind in ("png", "pdf") and out is None:
        request = request.with_fault(f"--format {kind} needs --out FILE, got none")
    if kind == "terminal" and out is not None:
        request = request.with_fault("--out needs a --format for files: md, tex, html, csv, png, pdf; got terminal")

    def shown(sweep: "Sweep", console: Console) -> bool:
        from sweeps.engine.artifacts import texts
        from sweeps.engine.formats import terminal
        from sweeps.engine.plot import draw

        for result in sweep.results():
            if kind == "terminal":
                console.print(terminal(result, console.width))
            elif out is None:
                typer.echo(texts(result)[f"table.{kind}"])
            elif kind == "png" or kind == "pdf":
                write_out(out, draw(result, kind))
            else:
                write_out(out, texts(result)[f"table.{kind}"].encode())
        return True

    def at_most_one(recipe_of: RecipeOf) -> Sequence[Table]:
        tables = tables_of(recipe_of)
        if out is not None and len(tables) > 1:
            raise TableError([f"--out takes one table, got {len(tables)}"])
        return tables

    _look(request, at_most_one, shown, quiet=kind != "terminal")


def compare(
    names: NamesArgument = None,
    every: AllFlag = False,
    kind: Annotated[Literal["terminal", "md", "csv"], typer.Option("--format")] = "terminal",
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
) -> NoReturn:
    """Printed values beside ours, cell by cell with a verdict, and whether the rows stand in the printed order.

    Ends with 0 when everything that can be compared is reproduced, 1 when cells failed, 3 when seeds, episodes or cells
    are missing to decide, 4 when a cell differs from the printed value by more than the margin.
    """
    request, tables_of = paper_request(names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg)

    def shown(sweep: "Sweep", console: Console) -> int:
        from sweeps.engine import comparison_views as views
        from sweeps.engine.comparison import compare

        comparisons = [compare(result) for result in sweep.results()]
        for comparison in comparisons:
            if kind == "terminal":
                console.print(views.terminal(comparison, console.width))
            else:
                typer.echo(views.markdown(comparison) if kind == "md" else views.csv_text(comparison))
        worst = {comparison.exit_code() for comparison in comparisons}
        return next(_EXIT[outcome] for outcome in reversed(_EXIT) if outcome in worst)

    _look(request, tables_of, shown, quiet=kind != "terminal")


def _look(
    request: Request, tables_of: Tables, shown: "Callable[[Sweep, Console], bool | int]", *, quiet: bool = False
) -> NoReturn:
    """``quiet``: nothing but what ``shown`` writes goes to the output."""

    request = replace(request, only_recorded=True)

    def carried_out(console: Console) -> bool | int:
        display = Display(Console(stderr=True) if quiet else console)
        with display.shown():
            sweep = planned(request, tables_of, display)
        return shown(sweep, console)

    ended(carried_out)
