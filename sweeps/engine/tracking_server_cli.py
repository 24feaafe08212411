"""``fsar tracking``: a server for MLflow, and whether the one that a site names can be used."""

import os
import subprocess
import sys
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console

from sweeps.engine.cli import SiteFlag, ended
from sweeps.engine.site import Site, load_site
from sweeps.engine.tracking_accounts import CONFIG, Permission, write_config
from sweeps.engine.tracking_server import Server, ServerAsked, found_good

_PORT = 5000

app = typer.Typer(help="MLflow's server: start one, check one.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def serve(
    site: SiteFlag = "laptop",
    store: Annotated[
        str | None,
        typer.Option(
            help="The database, such as postgresql://fsar@127.0.0.1/mlflow; the password stands in PGPASSWORD. By "
            "default MLFLOW_BACKEND_STORE_URI, else mlflow.db in the site's storage.",
            show_default=False,
        ),
    ] = None,
    artifacts: Annotated[
        str | None,
        typer.Option(help="A folder, or s3://bucket/path; by default in the site's storage.", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(help="Any but a loopback address needs --accounts.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help=f"By default that of the site's tracking_uri, else {_PORT}.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that answer.")] = 2,
    name: Annotated[
        list[str] | None, typer.Option(help="A name by which others reach it, such as gpu1.lab.edu; repeatable.")
    ] = None,
    accounts: Annotated[bool, typer.Option("--accounts", help="Only with a user name and a password.")] = False,
    permission: Annotated[
        Permission, typer.Option(help="What an account may do with the experiments of others.")
    ] = "EDIT",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check it, say what would start, and stop.")] = False,
) -> NoReturn:
    """Start MLflow's server in the place of this command, on SQLite or PostgreSQL. It ends with Ctrl-C.

    Passwords come from the environment alone. Ends with 2 when it was refused.
    """

    def carried_out(console: Console) -> bool:
        own = load_site(site)
        asked = ServerAsked(
            storage=own.storage,
            store=store,
            studies=own.study_uri,
            artifacts=artifacts,
            host=host,
            port=_port(own) if port is None else port,
            workers=workers,
            names=tuple(name or ()),
            accounts=accounts,
            permission=permission,
        )
        server = found_good(asked)
        _show(server, console)
        if not dry_run:
            _replace_this_process(server, console)
        return True

    ended(carried_out)


@app.command()
def check(
    site: SiteFlag = "laptop",
    wait: Annotated[float, typer.Option(help="Seconds for a server that is starting.")] = 0,
) -> NoReturn:
    """Say whether the tracking server and the study database of a site can be used, and by whom.

    Ends with 0 when they can, 1 when not, 2 when it was refused.
    """

    def carried_out(console: Console) -> bool:
        from sweeps.engine.tracking_check import checked  # takes MLflow

        good = True
        for finding in checked(load_site(site), wait):
            good = good and finding.good
            mark = "[green]good[/]" if finding.good else "[bold red]bad [/]"
            console.print(f"{mark} {finding.what:<9}", end="")
            console.print(finding.told, highlight=False, markup=False, soft_wrap=True)
        return good

    ended(carried_out)


def _port(site: Site) -> int:
    return (urlsplit(site.tracking_uri).port if (site.tracking_uri or "").startswith("http") else None) or _PORT


def _show(server: Server, console: Console) -> None:
    asked = server.asked
    names = ", ".join(server.names())
    who = f"with an account; what others have made: {asked.permission}" if asked.accounts else "all on this machine"
    lines = {
        "address": server.url + (f", reached as {names}" if names else ""),
        "database": server.database.uri,
        "artefacts": server.artifacts,
        "open to": who,
        "sites say": f'tracking_uri = "http://{next(iter(server.names()), "127.0.0.1")}:{asked.port}"',
    }
    for what, told in lines.items():
        console.print(f"{what:<10}{told}", highlight=False, markup=False, soft_wrap=True)


def _replace_this_process(server: Server, console: Console) -> NoReturn:
    """The database first: workers that all find an old or empty one would run into each other."""
    from sweeps.engine.tracking_upgrade import upgraded  # takes MLflow

    environment = server.environment()
    upgraded(server.database)
    config = server.asked.storage / "mlflow-accounts.ini"
    if server.asked.accounts and not environment.get(CONFIG):
        write_config(config, server.database, server.asked.permission, environment)
        environment[CONFIG] = str(config)
    console.print("starting MLflow")
    sys.stdout.flush()
    watcher = [sys.executable, "-m", "sweeps.engine.tracking_health", server.url, str(os.getpid())]
    # The shell ends at once, so that the watcher is nobody's child: MLflow, in this process, would not reap it.
    subprocess.run(["/bin/sh", "-c", '"$@" &', "sh", *watcher], check=True)
    os.execve(sys.executable, server.command(), environment)
