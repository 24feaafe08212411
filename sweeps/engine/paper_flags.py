"""What the commands on tables of papers have in common: their flags, and the request that these make."""

from pathlib import Path
from typing import Annotated

import typer

from search_spaces.papers.selection import find_tables, paper_tables
from search_spaces.table import RecipeOf, Table, TableError
from sweeps.engine.request import Request
from sweeps.engine.site import BadRequest
from sweeps.engine.sweep import Tables

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TABLE]...", help="Papers (sgtm, strm, i2st, vim) or tables of them (sgtm/table5).", show_default=False
    ),
]
AllFlag = Annotated[bool, typer.Option("--all", help="All tables of all papers.")]
OwnDatasetFlag = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="A data set that stands for all those of the papers, e.g. motionshapes; by default the papers' own.",
    ),
]
PaperSeedsFlag = Annotated[
    int | None, typer.Option("--seeds", help="Trainings per row, from seeds 0, 1, ...; by default as the site says, 3.")
]


def write_out(path: Path, content: bytes) -> None:
    """What ``--out`` asks for. Raises BadRequest where it cannot be written."""
    from sweeps.engine.records import write_aside  # takes PyTorch

    try:
        write_aside(path, content)
    except OSError as error:
        raise BadRequest([f"--out {path} cannot be written: {error.strerror or error}; name another file"]) from error


def paper_request(
    names: list[str] | None,
    every: bool,
    *,
    site: str,
    dataset: str | None,
    preset: str | None,
    seeds: int | None,
    fresh: bool = False,
    jpeg: int | None = None,
) -> tuple[Request, Tables]:
    """The request and what makes its tables. Unknown names are among the faults of the request."""
    faults: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    try:
        found = find_tables(names or (), every=every)
    except TableError as error:
        faults = error.faults
    request = Request(site=site, dataset=dataset, preset=preset, seeds=seeds, fresh=fresh, jpeg=jpeg, faults=faults)

    def tables_of(recipe_of: RecipeOf) -> tuple[Table, ...]:
        return paper_tables(found, recipe_of, dataset)

    return request, tables_of
