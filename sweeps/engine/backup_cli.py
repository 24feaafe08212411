"""``fsar backup`` and ``fsar restore``: all that a site has recorded, its databases too."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from sweeps.engine.cli import SiteFlag, ended
from sweeps.engine.databases import STORE, BadDatabaseError, Database, database, store_database
from sweeps.engine.site import BadRequest, Site, load_site
from sweeps.engine.watch import Display

if TYPE_CHECKING:
    from sweeps.engine.backup import BackedUp, DatabaseName, Manifest

_SHOWN = 20
StoreFlag = Annotated[
    str | None,
    typer.Option(
        help="The database behind the site's tracking server, as `fsar tracking serve` takes it; by default "
        f"{STORE}. 'none': without it; launches fill a new one from the files.",
        show_default=False,
    ),
]


def backup(
    to: Annotated[Path, typer.Argument(help="A folder, outside of the storage; each backup is a folder in it.")],
    site: SiteFlag = "laptop",
    store: StoreFlag = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="With the selected weights, so that more can be measured.")
    ] = False,
    keep: Annotated[int | None, typer.Option(help="Remove all but so many backups of this folder.")] = None,
) -> NoReturn:
    """Copy records, tables, imports, and the databases of MLflow and Optuna; sweeps may run meanwhile.

    What has not changed since the last backup takes no room. Checkpoints of unfinished runs are left out.
    Ends with 0, or with 2 when it was refused.
    """

    def carried_out(console: Console) -> bool:
        from sweeps.engine.backup import back_up

        own = load_site(site)
        display = Display(console)
        with display.shown():
            done = back_up(
                own,
                _databases(own, store),
                to.expanduser().absolute(),
                weights=weights,
                keep=keep,
                tell=display.counting("files copied"),
            )
        _show(done, console)
        return True

    ended(carried_out)


def restore(
    folder: Annotated[Path, typer.Argument(help="One backup: a folder that `fsar backup` has made.")],
    site: SiteFlag = "laptop",
    store: StoreFlag = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check backup and place, and stop.")] = False,
) -> NoReturn:
    """Bring a backup back, into a storage and databases that are new or empty; every file is checked first.

    Ends with 0, or with 2 when it was refused.
    """

    def carried_out(console: Console) -> bool:
        from sweeps.engine.backup_restore import restore as restored

        own = load_site(site)
        display = Display(console)
        with display.shown():
            done = restored(
                folder.expanduser().absolute(),
                own,
                _databases(own, store),
                dry_run=dry_run,
                checking=display.counting("files checked"),
                copying=display.counting("files copied"),
            )
        verb = "would bring back" if dry_run else "brought back"
        _line(console, f"{verb} to {own.storage}: {_told(done.manifest)}")
        for name in done.rebuilt:
            way = "the next launch of a table fills it" if name == "mlflow" else "searches begin new ones"
            _line(console, f"not in the backup: the database of {name}; {way}")
        if not done.manifest.weights:
            _line(console, "without weights: tables are complete, what was never measured needs new trainings")
        return True

    ended(carried_out)


def _databases(site: Site, store: str | None) -> "dict[DatabaseName, Database]":
    """Where the site's two databases are. Raises BadRequest with all that keeps them from being found."""
    found: dict[DatabaseName, Database] = {}
    faults: list[str] = []
    try:
        uri = site.mlflow_uri()
        if store != "none":
            if uri.startswith("http") and not (store or os.environ.get(STORE)):
                way = f"name the database behind it by --store or {STORE}, or leave it out by --store none"
                raise BadDatabaseError(f"tracking_uri of the site is a server; {way}")
            direct = None if uri.startswith("http") else uri
            found["mlflow"] = database(direct) if direct else store_database(store, site.storage / "mlflow.db")
    except BadDatabaseError as error:
        faults.append(str(error))
    try:
        found["studies"] = database(site.optuna_uri())
    except BadDatabaseError as error:
        faults.append(f"study_uri of the site: {error}")
    if faults:
        raise BadRequest(faults)
    return found


def _show(done: "BackedUp", console: Console) -> None:
    _line(console, f"{done.folder}: {_told(done.manifest)}; {done.linked:,} files were in the last backup already")
    for name in done.gone[:_SHOWN]:
        _line(console, f"removed while it was copied: {name}")
    if len(done.gone) > _SHOWN:
        _line(console, f"and {len(done.gone) - _SHOWN} more removed while they were copied")
    for path in done.removed:
        _line(console, f"removed, as --keep says: {path}")


def _told(manifest: "Manifest") -> str:
    size = sum(entry.size for entry in manifest.files.values())
    runs = sum(name.startswith("storage/runs/") and name.endswith("/run.json") for name in manifest.files)
    databases = ", ".join(f"{name} ({own.kind})" for name, own in manifest.databases.items()) or "no database"
    return f"{len(manifest.files):,} files, {size / 1e6:.2f} MB; {runs:,} trainings; {databases}"


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
