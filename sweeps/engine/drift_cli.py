"""``fsar drift``: is the newest rerun of a schedule like those before it?"""

from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console

from sweeps.engine.cli import ended
from sweeps.engine.schedules import find_schedule

Form = Literal["terminal", "md", "json"]


def drift(
    name: Annotated[str, typer.Argument(help="A schedule.")],
    file: Annotated[Path, typer.Option("--file", help="The schedules.")] = Path("schedules.toml"),
    slot: Annotated[str | None, typer.Option(help="The rerun to check; by default the newest.")] = None,
    since: Annotated[
        str | None, typer.Option(help="A slot: earlier reruns are left out, as after a change that was meant.")
    ] = None,
    form: Annotated[Form, typer.Option("--format")] = "terminal",
    alert: Annotated[bool, typer.Option("--alert", help="Tell people as the schedule's rule says, once.")] = False,
) -> NoReturn:
    """Compare a rerun with those before it and with printed values; write the report beside it and into MLflow.

    Ends with 0 when it is fine, 1 when it is fine but MLflow was not reached, 2 when the request was refused, 3 when
    data are insufficient, 4 for a regression, 5 when it is suspicious.
    """

    def checked(console: Console) -> int:
        from sweeps.engine.drift_check import check  # takes PyTorch

        return check(name, find_schedule(file, name), console, slot=slot, since=since, form=form, alert=alert)

    ended(checked)
