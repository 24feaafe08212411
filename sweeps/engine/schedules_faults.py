"""What no single field of a schedule shows: names that do not exist, times that never come, fields that clash."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fsar_core.presets import PRESETS
from search_spaces.papers.selection import find_tables
from search_spaces.spaces import all_spaces
from search_spaces.table import TableError
from search_spaces.variants import unknown
from sweeps.engine.schedules_cron import read_cron


def scripts() -> tuple[str, ...]:
    """Sweeps that have a table, by name."""
    return tuple(dict.fromkeys(name.partition("/")[0] for name in all_spaces()))


def faults_of(entry: Mapping[str, Any]) -> list[str]:
    """A line each; ``entry`` is as written, so that values of a wrong type, which are found elsewhere, say nothing."""
    return [*_names(entry), *_times(entry), *_alerts(entry), *_clashes(entry)]


def _names(entry: Mapping[str, Any]) -> Iterator[str]:
    script, preset = entry.get("script"), entry.get("preset")
    names = [name for name in _list(entry.get("tables")) if isinstance(name, str)]
    try:
        if names:
            find_tables(names)
    except TableError as error:
        yield from (f"tables: {fault}" for fault in error.faults)
    if isinstance(script, str) and script not in scripts():
        yield f"script: {unknown('sweep', script, scripts())}"
    if isinstance(preset, str) and preset not in PRESETS:
        yield f"preset: {unknown('preset', preset, sorted(PRESETS))}"


def _times(entry: Mapping[str, Any]) -> Iterator[str]:
    cron, zone = entry.get("cron"), entry.get("time_zone", "UTC")
    if isinstance(cron, str) and isinstance(zone, str):
        try:
            read_cron(cron, zone)
        except ValueError as error:
            yield from str(error).splitlines()


def _alerts(entry: Mapping[str, Any]) -> Iterator[str]:
    webhook = entry.get("alert_webhook")
    if isinstance(webhook, str) and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", webhook):
        yield "alert_webhook must be the name of an environment variable that holds the URL, which is a secret"
    ways = webhook is not None or _is_named(entry.get("alert_command", ()))
    if ways and entry.get("alert_on") is None:
        yield "alert_on must say what raises the alarm (suspicious or regression) where there is a command or webhook"
    if entry.get("alert_on") is not None and not ways:
        yield "alert_on needs alert_command or alert_webhook, to be told with"


def _clashes(entry: Mapping[str, Any]) -> Iterator[str]:
    if _is_named(entry.get("tables", ())) == (entry.get("script") is not None):
        yield "one of tables and script must be named"
    if entry.get("seed_start") == "slot" and entry.get("fresh") is not True:
        yield "seed_start = 'slot' needs fresh = true: other seeds in each rerun would pile up in the record"


def _is_named(value: object) -> bool:
    """Also what is no list, whose type is a fault of its own."""
    return not isinstance(value, list | tuple) or len(_list(value)) > 0


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
