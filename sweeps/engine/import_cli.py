"""``fsar data import``: the videos, frames and lists that people have, as a data set that runs can name."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from fsar_core.data.datasets import MOTIONSHAPES
from fsar_core.data.importing import Asked, ImportReport, Watching, import_dataset
from fsar_core.data.listing import BENCHMARKS
from fsar_core.data.manifest import Import, manifest_path, write_manifest
from fsar_core.data.processes import Progress
from sweeps.engine.cli import REFUSED, SiteFlag, ended
from sweeps.engine.import_report import print_report
from sweeps.engine.site import BadRequest, Site, described, load_site
from sweeps.engine.watch import Display


def import_data(
    dataset: Annotated[str, typer.Argument(help=f"{', '.join(BENCHMARKS)}, or a name of your own.")],
    root: Annotated[Path, typer.Argument(help="Videos, folders of frames, zips of frames, or one such zip.")],
    lists: Annotated[Path | None, typer.Option(help="Folder of the train, val and test lists.")] = None,
    annotations: Annotated[Path | None, typer.Option(help="Folder of the official annotation files.")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Go on without listed videos.")] = False,
    allow_unreadable: Annotated[
        bool, typer.Option("--allow-unreadable", help="Go on without videos that cannot be read.")
    ] = False,
    shot: Annotated[int, typer.Option(help="Every class must have so many videos, and ...")] = 5,
    queries: Annotated[int, typer.Option(help="... so many more.")] = 1,
    fps: Annotated[float, typer.Option(help="Frames per second of stored frames; 0: not known.")] = 0,
    site: SiteFlag = "laptop",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> NoReturn:
    """Find the videos of a data set, say what is there and what is not, and keep that under a name for --dataset.

    Videos stay where they are; none is copied. Where something is wrong, nothing is written.
    """

    def carried_out(console: Console) -> bool:
        here = load_site(site)
        try:
            asked = Asked(
                dataset=dataset,
                root=root.expanduser(),
                lists=lists,
                annotations=annotations,
                allow_missing=allow_missing,
                allow_unreadable=allow_unreadable,
                shot=shot,
                queries=queries,
                fps=float(fps),
            )
        except ValidationError as error:
            raise BadRequest([_flagged(line) for line in described(error)]) from error
        _refuse_taken_names(asked.dataset, here)
        report, imported = _looked_through(asked, here, Console(stderr=True) if as_json else console)
        path = manifest_path(here.imports, dataset)
        if imported is not None:
            _write(path, imported)
        if as_json:
            typer.echo(report.model_dump_json(indent=1))
        else:
            print_report(report, path, site, console)
        return _good(report, as_json=as_json)

    ended(carried_out)


def _flagged(line: str) -> str:
    """DATASET is no flag."""
    return line if line.startswith("dataset") else f"--{line}"


def _refuse_taken_names(dataset: str, site: Site) -> None:
    if dataset == MOTIONSHAPES:
        raise BadRequest([f"{MOTIONSHAPES} is the benchmark that this project makes itself; give another name"])
    if dataset in site.datasets:
        fault = f"the site file has [datasets.{dataset}], which would be used instead of the import"
        raise BadRequest([f"{fault}; remove that entry, or give another name"])


def _looked_through(asked: Asked, site: Site, console: Console) -> tuple[ImportReport, Import | None]:
    """On a terminal, first how many clips have been found, then a bar of those read."""
    display, looking = Display(console), f"looking for clips below {escape(str(asked.root))}"
    memory = site.cache / f"{asked.dataset}.index.parquet"
    with ExitStack() as bars, console.status(looking) as status:

        def found(count: int) -> None:
            status.update(f"{looking}: {count:,} found")

        def reading() -> Progress:
            status.stop()
            bars.enter_context(display.shown())
            return display.counting(f"reading {asked.dataset}")

        watching = Watching(walking=found, reading=reading)
        return import_dataset(asked, workers=site.workers(), memory=memory, watching=watching)


def _write(path: Path, imported: Import) -> None:
    try:
        write_manifest(path, imported)
    except OSError as error:
        raise BadRequest([f"{path}: cannot be written ({error.strerror or error}); it must be writable"]) from error


def _good(report: ImportReport, *, as_json: bool) -> bool:
    """Ends the command where the report has faults."""
    if report.faults and as_json:
        raise typer.Exit(REFUSED)
    if report.faults:
        raise BadRequest(list(report.faults))
    return True
