"""The command ``fsar``: what can be done without writing a sweep script."""

import typer

from sweeps.engine.masks_cli import app as masks_app
from sweeps.engine.methods_cli import methods
from sweeps.engine.train_cli import train

app = typer.Typer(
    name="fsar",
    help="Few-shot action recognition: see the methods, train and test them, prepare what they need.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(methods)
app.command()(train)
app.add_typer(masks_app, name="masks")
