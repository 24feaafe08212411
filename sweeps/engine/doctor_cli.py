"""``fsar doctor``: what keeps sweeps from running well on a machine or cluster, before one is started."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.engine.cli import SiteFlag, ended
from sweeps.engine.printable import printable
from sweeps.engine.site import load_site
from sweeps.engine.watch import Display

if TYPE_CHECKING:
    from sweeps.engine.doctor import Finding

_STYLES = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


def doctor(
    site: SiteFlag = "laptop",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> NoReturn:
    """Look at all that a sweep on this site needs: packages, GPUs, memory, disks, locks, data, decoding, open ports,
    MLflow and Optuna, and with a running Ray cluster, every node of it.

    Trains nothing and leaves nothing behind. Ends with 0 when a sweep can run, 1 when not, 2 when it was refused.
    """

    def shown(console: Console) -> bool:
        from sweeps.engine.doctor import examined, healthy  # takes torch

        own = load_site(site)
        display = Display(Console(stderr=True) if as_json else console)
        with display.shown():
            found = examined(own, display.counting("checks"))
        if as_json:
            typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
        else:
            _print(found, console)
        return healthy(found)

    ended(shown)


def _print(found: "Sequence[Finding]", console: Console) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("check", overflow="fold", min_width=12, max_width=24)
    table.add_column("state", no_wrap=True)
    table.add_column("found", overflow="fold", ratio=3)
    table.add_column("to do", overflow="fold", ratio=2)
    for own in found:
        cells = (Text(printable(text)) for text in (own.told, own.todo))
        table.add_row(Text(printable(own.what)), Text(own.level, style=_STYLES[own.level]), *cells)
    console.print(table)
    counts = {level: sum(own.level == level for own in found) for level in _STYLES}
    console.print(", ".join(f"{count} {level}" for level, count in counts.items()), highlight=False)
