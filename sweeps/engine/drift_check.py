"""A rerun checked against those before it: report on disk and in MLflow, words for the terminal, alerts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console

from sweeps.engine import drift as drifting
from sweeps.engine import drift_files, drift_views
from sweeps.engine.alerts import Rule
from sweeps.engine.alerts import alert as tell
from sweeps.engine.cli import DONE, DRIFT, FAILED, UNDECIDED
from sweeps.engine.drift_report import Report
from sweeps.engine.records import write_aside
from sweeps.engine.reruns import reruns
from sweeps.engine.schedules import Schedule
from sweeps.engine.site import Site, load_site
from sweeps.engine.tracking_connection import TrackingError
from sweeps.engine.watch import Display

SUSPICIOUS = 5
"""Exit code: below the band for the first time, or other numbers although nothing changed."""
EXIT = {"fine": DONE, "insufficient data": UNDECIDED, "suspicious": SUSPICIOUS, "regression": DRIFT}
_ALERTED = "alerted.txt"
_MANY = 20
"""Reruns, whose reading takes long enough to be shown."""


def check(
    name: str,
    schedule: Schedule,
    console: Console,
    *,
    slot: str | None = None,
    since: str | None = None,
    form: Literal["terminal", "md", "json"] = "terminal",
    alert: bool = False,
) -> int:
    """Gives the exit code. ``slot``: of the rerun, the newest where none is named; ``since``: the first slot that it is
    compared with; ``alert``: tell people as the schedule says. Raises BadRequest."""
    site = load_site(schedule.site)
    said = console if form == "terminal" else Console(stderr=True)
    report = _checked(site, name, slot, since, Display(said))
    written = drift_files.write(report, site)
    match form:
        case "terminal":
            console.print(drift_views.terminal(report, console.width))
            _say(console, f"files   {written['report.html'].parent}")
        case "md":
            typer.echo(written["report.md"].read_text())
        case "json":
            typer.echo(written["report.json"].read_text())
    recorded = _recorded(report, written, site, said)
    if alert:
        _alert(schedule, report, written, said)
    return EXIT[report.verdict] or (DONE if recorded else FAILED)


def _checked(site: Site, name: str, slot: str | None, since: str | None, display: Display) -> Report:
    found = drifting.chosen(reruns(site, name), name, slot=slot, since=since)
    if len(found) < _MANY:
        return drifting.drift(found)
    with display.shown():
        return drifting.drift(found, display.counting("reading reruns"))


def _recorded(report: Report, written: Mapping[str, Path], site: Site, console: Console) -> bool:
    try:
        drift_files.record(report, written, site)
    except TrackingError as error:
        _say(console, f"not recorded in MLflow: {error}")
        return False
    return True


def _alert(schedule: Schedule, report: Report, written: Mapping[str, Path], console: Console) -> None:
    """A check that is repeated does not tell the same again, but what failed is tried again."""
    if schedule.alert_on is None:
        _say(console, "no alert: the schedule has no alert_on")
        return
    rule = Rule(on=schedule.alert_on, command=schedule.alert_command, webhook=schedule.alert_webhook)
    mark = written["report.json"].with_name(_ALERTED)
    if rule.counts(report.verdict) and mark.is_file() and mark.read_text() == report.verdict:
        _say(console, "alert: told before")
        return
    paths = {Path(key).suffix[1:]: path for key, path in written.items() if key.startswith("report.")}
    told = tell(rule, report.verdict, written["report.json"].read_bytes(), paths)
    for line in told:
        _say(console, line)
    if told and not any(line.startswith("alert failed") for line in told):
        write_aside(mark, report.verdict.encode())


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
