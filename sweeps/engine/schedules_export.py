"""A schedule for cron and systemd; each calls ``fsar schedule run``."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_cron import WEEKDAYS, Cron

HEAD = "Written by `fsar schedule export`; write it anew after changes of the schedule file."


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the command is run."""

    folder: Path
    """From which relative paths start."""
    file: Path
    """Of the schedules."""
    program: Sequence[str]
    """Starts ``fsar``."""

    def words(self, name: str) -> list[str]:
        return [*self.program, "schedule", "run", name, "--file", str(self.file)]


def here(file: Path) -> Place:
    """This folder and this installation."""
    found = shutil.which("fsar", path=str(Path(sys.executable).parent))
    program = [sys.executable, "-m", "sweeps"] if found is None else [found]
    return Place(folder=Path.cwd(), file=file.expanduser().absolute(), program=program)


def crontab(schedules: Mapping[str, Schedule], place: Place) -> str:
    """Lines for ``crontab -e``. cron makes up for nothing that it missed."""
    lines = [
        f"# {HEAD}",
        "# CRON_TZ is known to cronie; other crons read the times in the zone of the machine.",
    ]
    for name, schedule in schedules.items():
        command = f"cd {shlex.quote(str(place.folder))} && {shlex.join(place.words(name))}"
        lines += [
            f"CRON_TZ={schedule.time_zone}",
            f"{cron_text(schedule.times())} {command.replace('%', chr(92) + '%')}",
        ]
    return "\n".join(lines) + "\n"


def systemd(schedules: Mapping[str, Schedule], place: Place) -> dict[str, str]:
    """A service and a timer for each schedule, by file name."""
    found: dict[str, str] = {}
    for name, schedule in schedules.items():
        command = " ".join(_unit_word(word) for word in place.words(name))
        found[f"fsar-{name}.service"] = (
            f"# {HEAD}\n[Unit]\nDescription=Rerun of {name}\n"
            "After=network-online.target\nWants=network-online.target\n\n"
            f"[Service]\nType=oneshot\nWorkingDirectory={_unit_text(str(place.folder))}\nExecStart={command}\n"
        )
        found[f"fsar-{name}.timer"] = (
            f"# {HEAD}\n[Unit]\nDescription=Times of {name}\n\n"
            f"[Timer]\nOnCalendar={calendar(schedule.times())}\nPersistent={str(schedule.missed == 'run').lower()}\n"
            "AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
        )
    return found


def cron_text(times: Cron) -> str:
    """Five fields of numbers, with Sunday as 0."""
    weekdays = None if times.weekdays is None else sorted((day + 1) % 7 for day in times.weekdays)
    fields = (times.minutes, times.hours, times.days, times.months, weekdays)
    return " ".join("*" if own is None else ",".join(map(str, own)) for own in fields)


def calendar(times: Cron) -> str:
    """As systemd's OnCalendar has it, with the zone."""
    weekdays = "" if times.weekdays is None else ",".join(WEEKDAYS[day].title() for day in times.weekdays) + " "
    day, clock = f"*-{_two(times.months)}-{_two(times.days)}", f"{_two(times.hours)}:{_two(times.minutes)}:00"
    return f"{weekdays}{day} {clock} {times.zone}"


def _two(values: Sequence[int] | None) -> str:
    return "*" if values is None else ",".join(f"{value:02d}" for value in values)


def _unit_text(text: str) -> str:
    """% begins a specifier in units."""
    return text.replace("%", "%%")


def _unit_word(word: str) -> str:
    """An argument of ExecStart, in which $ begins a variable."""
    text = _unit_text(word).replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if any(sign in text for sign in " \"'\\;") else text
