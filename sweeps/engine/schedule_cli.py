"""``fsar schedule``: reruns of tables at fixed times, by a server of the project's or by schedulers that are there."""

import re
from datetime import UTC, datetime
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from sweeps.engine.cli import ended
from sweeps.engine.reruns import SLOT, find_rerun, slot_moment, slot_of
from sweeps.engine.schedules import Schedule, find_schedule, load_schedules
from sweeps.engine.schedules_check import check_plans, fit_sites_of, missing_here, sites_of
from sweeps.engine.schedules_export_cli import FILE, FileFlag, NamesArgument, chosen, export
from sweeps.engine.schedules_seeds import FIRST_SLOT
from sweeps.engine.schedules_view import fire_times, listed, next_words
from sweeps.engine.site import BadRequest, load_site

app = typer.Typer(help="Reruns at fixed times.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def check(
    file: FileFlag = FILE,
    plan: Annotated[
        bool, typer.Option("--plan", help="Open the data sets too, and hold each plan against its budget.")
    ] = False,
) -> NoReturn:
    """Find everything that is wrong with the schedules and their sites, for reruns on this machine. Starts nothing."""

    def checked(console: Console) -> bool:
        schedules = load_schedules(file)
        sites = fit_sites_of(schedules)
        budgets = check_plans(schedules, console) if plan else {}
        for name, schedule in schedules.items():
            lines = [
                f"{name}: {schedule.what()}, site {schedule.site}",
                f"  next  {next_words(schedule, datetime.now(UTC))}",
            ]
            lines += [f"  files {sites[name].storage / 'reruns' / name}"]
            lines += [f"  plan  {budgets[name]}"] if name in budgets else []
            console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
        warnings = missing_here(schedules)
        for warning in warnings:
            console.print(f"warning {warning}", highlight=False, markup=False, soft_wrap=True)
        but = f" but for {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""
        console.print(f"{file}: {len(schedules)} schedules, nothing is wrong{but}", highlight=False, markup=False)
        return True

    ended(checked)


@app.command("list")
def list_schedules(file: FileFlag = FILE) -> NoReturn:
    """Show all schedules: what, when, and what became of the newest slot."""

    def shown(console: Console) -> bool:
        schedules = load_schedules(file)
        console.print(listed(schedules, sites_of(schedules), datetime.now(UTC)))
        return True

    ended(shown)


@app.command("next")
def next_times(
    names: NamesArgument = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="Times of each.")] = 3,
    file: FileFlag = FILE,
) -> NoReturn:
    """Show when schedules are due next, in their own time zone and as slots."""

    def shown(console: Console) -> bool:
        console.print(fire_times(chosen(file, names), count, datetime.now(UTC)))
        return True

    ended(shown)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A schedule.")],
    slot: Annotated[
        str | None,
        typer.Option(
            help="The moment it stands for: 20261121T030000Z, 2026-11-21T03:00Z, or now. By default the newest "
            "at which it was due."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train everything anew, apart from the record.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Go on with a slot that ended without all numbers.")] = False,
    file: FileFlag = FILE,
) -> NoReturn:
    """Run the slot of a schedule. Safe to repeat, from anywhere: a slot is run once. Where the schedule says whom to
    alert, it is checked for drift too (`fsar drift`).

    Ends with 0 when every cell has its number, or another process is at it; 1 when cells have none, or MLflow was not
    reached; 2 when it was refused.
    """

    def carried_out(console: Console) -> int:
        from sweeps.engine.schedules_run import Asked, run_slot  # takes PyTorch

        schedule = find_schedule(file, name)
        own = _slot(slot, schedule)
        asked = Asked(name=name, schedule=schedule, slot=own, fresh=fresh or schedule.fresh, again=again)
        code = run_slot(asked, console)
        if schedule.alert_on is not None and find_rerun(load_site(schedule.site), name, own) is not None:
            from sweeps.engine.drift_check import check

            check(name, schedule, console, slot=own, alert=True)
        return code

    ended(carried_out)


@app.command()
def serve(
    file: FileFlag = FILE,
    store: Annotated[
        str | None,
        typer.Option(
            help="The server's memory, such as postgresql://fsar@127.0.0.1/schedules; the password stands in "
            "PGPASSWORD. By default schedules.db in the sites' storage.",
            show_default=False,
        ),
    ] = None,
) -> NoReturn:
    """Start reruns when they are due, until it is stopped. Several servers on one storage do not disturb each other.

    What was missed while none was there, or was cut short, is made up for as each schedule says.
    """

    def served(console: Console) -> bool:
        from sweeps.engine.schedules_serve import serve as serve_schedules
        from sweeps.engine.schedules_store import store_uri

        schedules = load_schedules(file)
        sites = sites_of(schedules)
        uri = store or store_uri(sites)
        console.print(fire_times(schedules, 1, datetime.now(UTC)))
        serve_schedules(file.absolute(), schedules, sites, uri)
        return True

    ended(served)


app.command()(export)


def _slot(text: str | None, schedule: Schedule) -> str:
    """Raises BadRequest for what is no whole minute of the past, or is older than slots can be."""
    now = datetime.now(UTC)
    if text is None:
        return slot_of(schedule.times().due(now))
    moment = now.replace(second=0, microsecond=0) if text == "now" else _moment(text)
    if moment is None or moment.second or moment.microsecond:
        example = "now, 20261121T030000Z or 2026-11-21T03:00Z"
        raise BadRequest([f"--slot must be a whole minute with its time zone, such as {example}; got {text!r}"])
    if not FIRST_SLOT <= moment <= now:
        fault = f"--slot must be a moment of the past, {FIRST_SLOT:%Y-%m-%dT%H:%MZ} at the earliest, got {text!r}"
        raise BadRequest([f"{fault}; it is {now:%Y-%m-%dT%H:%MZ} now"])
    return slot_of(moment)


def _moment(text: str) -> datetime | None:
    """None for what is no moment of a known time zone."""
    try:
        moment = slot_moment(text) if re.fullmatch(SLOT, text) else datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
