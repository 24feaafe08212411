"""``fsar export`` and ``fsar import``: recorded results as one file, from one storage to another."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from sweeps.engine.cli import JpegFlag, PresetFlag, SiteFlag, ended
from sweeps.engine.paper_flags import AllFlag, NamesArgument, OwnDatasetFlag, PaperSeedsFlag, paper_request
from sweeps.engine.site import load_site
from sweeps.engine.watch import Display

if TYPE_CHECKING:
    from sweeps.engine.bundle_export import Exported
    from sweeps.engine.bundle_import import Imported

_SHOWN = 20


def export(
    out: Annotated[Path, typer.Option(help="The file to write; it ends in .zip.")],
    names: NamesArgument = None,
    every: AllFlag = False,
    weights: Annotated[
        bool, typer.Option("--weights", help="With the selected weights, so that others can test them further.")
    ] = False,
    site: SiteFlag = "laptop",
    dataset: OwnDatasetFlag = None,
    preset: PresetFlag = None,
    seeds: PaperSeedsFlag = None,
    jpeg: JpegFlag = None,
) -> NoReturn:
    """Write what is recorded of tables into one file, for `fsar import` elsewhere. Machine names stay here.

    The same records give the same bytes. Nothing is trained or measured.
    Ends with 0 when every number of the tables is in it, 1 when some are missing, 2 when it was refused.
    """
    request, tables_of = paper_request(names, every, site=site, dataset=dataset, preset=preset, seeds=seeds, jpeg=jpeg)

    def carried_out(console: Console) -> bool:
        from sweeps.engine import bundle_export  # takes PyTorch
        from sweeps.engine.sweep import planned

        display = Display(console)
        with display.shown():
            sweep = planned(replace(request, only_recorded=True), tables_of, display)
            results = {f"{result.table.name}/{sweep.label()}": result for result in sweep.results()}
            done = bundle_export.export(results, out, weights=weights, tell=display.counting("runs written"))
        _show_exported(done, out, console)
        return not done.unfinished

    ended(carried_out)


def import_bundle(
    bundle: Annotated[Path, typer.Argument(help="A file of `fsar export`.")],
    site: SiteFlag = "laptop",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check it, say what would be added, and stop.")] = False,
) -> NoReturn:
    """Add the records of a bundle to the storage of a site; what is there stays as it is.

    Everything in it is checked first: hashes, ids against settings, accuracies against outcomes.
    Ends with 0 when all of it is in the storage, 1 when some of it differs and was left out, 2 when it was refused.
    """

    def carried_out(console: Console) -> bool:
        from sweeps.engine import bundle_import

        storage = load_site(site).storage
        display = Display(console)
        with display.shown():
            done = bundle_import.import_bundle(
                bundle,
                storage,
                dry_run=dry_run,
                checking=display.counting("files checked"),
                adding=display.counting("runs looked at"),
            )
        _show_imported(done, storage, console, dry_run=dry_run)
        return not done.conflicts

    ended(carried_out)


def _show_exported(done: "Exported", out: Path, console: Console) -> None:
    told = [_counted(done.tables, "table"), _counted(done.runs, "training"), _counted(done.evaluations, "evaluation")]
    told += [f"weights of {_counted(done.weights, 'training')}"] if done.weights else []
    _line(console, f"{out}: {done.size / 1e6:.2f} MB; {', '.join(told)}")
    if done.unfinished:
        _line(console, f"not in it: {done.unfinished} numbers of these tables, which are not recorded yet")
    for key in done.without_weights[:_SHOWN]:
        _line(console, f"no weights of {key}: they are not in the storage")
    if len(done.without_weights) > _SHOWN:
        _line(console, f"and {len(done.without_weights) - _SHOWN} more without weights")


def _show_imported(done: "Imported", storage: Path, console: Console, *, dry_run: bool) -> None:
    verb = "would add" if dry_run else "added"
    told = f"{_counted(done.runs, 'training')}, {_counted(done.evaluations, 'evaluation')}"
    told += f", weights of {_counted(done.weights, 'training')}" if done.weights else ""
    _line(console, f"{verb} to {storage}: {told}; {done.known} records were there already")
    for name, fingerprint in sorted(done.fingerprints):
        _line(console, f"trained on {name}, fingerprint {fingerprint}")
    _line(console, "tables show them where your copy of the data has the same fingerprint")
    for conflict in done.conflicts[:_SHOWN]:
        console.print(f"[bold yellow]left out[/] {escape(conflict)}", highlight=False, soft_wrap=True)
    if len(done.conflicts) > _SHOWN:
        _line(console, f"and {len(done.conflicts) - _SHOWN} more left out")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
