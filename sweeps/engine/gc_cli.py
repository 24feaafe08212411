"""``fsar gc``: what a storage can do without."""

from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from sweeps.engine.cli import SiteFlag, ended
from sweeps.engine.gc import KINDS, Found, Unreferenced, collect_garbage
from sweeps.engine.site import BadRequest, Site, load_site
from sweeps.engine.watch import Display

_DAY_S = 86_400.0
_SHOWN = 20


def gc(
    site: SiteFlag = "laptop",
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, it is only shown.")] = False,
    unreferenced: Annotated[
        bool,
        typer.Option("--unreferenced", help="Also whole runs, with their results, that no table and no search names."),
    ] = False,
    older_than: Annotated[
        float, typer.Option(help="With --unreferenced: only runs in which nothing has changed for so many days.")
    ] = 30,
) -> NoReturn:
    """Free what is not needed any more, in reruns of schedules too: training state of finished runs, old checkpoints,
    what killed processes left.

    Results and selected weights stay, so that more can be measured; unfinished runs go on from their checkpoints.
    Runs that are at work are never touched. Ends with 0, or with 2 when it was refused.
    """

    def carried_out(console: Console) -> bool:
        own = load_site(site)
        if not older_than >= 0:
            raise BadRequest([f"--older-than must be a number of days from 0, got {older_than:g}"])
        display = Display(console)
        try:
            with display.shown():
                rule = _rule(own, older_than) if unreferenced else None
                found = collect_garbage(
                    own.storage, remove=yes, tell=display.counting("runs looked at"), unreferenced=rule
                )
        except OSError as error:
            raise BadRequest([f"{error.filename}: {error.strerror or error}; it must be writable"]) from error
        _show(found, own, console, removed=yes)
        return True

    ended(carried_out)


def _rule(site: Site, older_than: float) -> Unreferenced:
    from sweeps.engine.gc_references import references  # takes MLflow

    known = references(site)
    return Unreferenced(known.keys, known.needs, older_than * _DAY_S)


def _show(found: Found, site: Site, console: Console, *, removed: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("what", "places", "GiB"):
        table.add_column(heading, justify="left" if heading == "what" else "right", no_wrap=True)
    table.add_column("that is")
    for kind, meaning in KINDS.items():
        own = [garbage.size for garbage in found.garbage if garbage.kind == kind]
        if own:
            table.add_row(kind, f"{len(own):,}", f"{sum(own) / 2**30:.3f}", meaning)
    if table.row_count:
        console.print(table)
    whole = [garbage for garbage in found.garbage if garbage.kind == "unreferenced run"]
    for garbage in whole[:_SHOWN] if removed else whole:
        _line(console, f"unreferenced: {garbage.path} ({garbage.size / 2**20:.1f} MiB)")
    if found.at_work:
        _line(console, f"left alone, at work now: {len(found.at_work)} of the runs")
    if found.reruns_at_work:
        _line(console, f"left alone, at work now: {len(found.reruns_at_work)} of the reruns of schedules")
    if found.driver:
        _line(console, "left alone: Ray's sessions, since a sweep runs on this storage")
    total = sum(garbage.size for garbage in found.garbage)
    verb = "freed" if removed else "would free"
    again = "" if removed or not total else "; --yes removes it"
    _line(console, f"{site.storage}: {verb} {total / 2**30:.3f} GiB{again}")
    _line(console, f"not looked at: frames and features in {site.cache} (`fsar data cache --remove-unused`)")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
