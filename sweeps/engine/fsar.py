"""The command ``fsar``: what can be done without writing a sweep script."""

import typer

from sweeps.engine.backup_cli import backup, restore
from sweeps.engine.bundle_cli import export, import_bundle
from sweeps.engine.cache_cli import cache
from sweeps.engine.checkpoints_cli import app as checkpoints_app
from sweeps.engine.doctor_cli import doctor
from sweeps.engine.drift_cli import drift
from sweeps.engine.estimate_cli import estimate
from sweeps.engine.gc_cli import gc
from sweeps.engine.import_cli import import_data
from sweeps.engine.masks_cli import app as masks_app
from sweeps.engine.methods_cli import methods
from sweeps.engine.paper_cli import plan, retry, run
from sweeps.engine.paper_views_cli import compare, status, table, why
from sweeps.engine.presets_cli import app as presets_app
from sweeps.engine.schedule_cli import app as schedule_app
from sweeps.engine.tables_cli import tables
from sweeps.engine.tracking_server_cli import app as tracking_app
from sweeps.engine.train_cli import train

app = typer.Typer(
    name="fsar",
    help="Few-shot action recognition: see the methods, train and test them, prepare what they need.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(
    help="Data sets: import what is on disk, decode it once.", no_args_is_help=True, pretty_exceptions_enable=False
)
data_app.command("import")(import_data)
data_app.command("cache")(cache)

app.command()(methods)
app.command()(tables)
app.command()(plan)
app.command()(run)
app.command()(status)
app.command()(retry)
app.command()(why)
app.command()(table)
app.command()(compare)
app.command()(export)
app.command("import")(import_bundle)
app.command()(backup)
app.command()(restore)
app.command()(gc)
app.command()(doctor)
app.command()(drift)
app.command()(train)
app.command()(estimate)
app.add_typer(data_app, name="data")
app.add_typer(presets_app, name="presets")
app.add_typer(checkpoints_app, name="checkpoints")
app.add_typer(masks_app, name="masks")
app.add_typer(tracking_app, name="tracking")
app.add_typer(schedule_app, name="schedule")
