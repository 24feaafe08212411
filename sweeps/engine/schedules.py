"""``schedules.toml``: which tables are run again, when, where and with what budget."""

import json
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import Field, ValidationError, model_validator

from fsar_core.data.config import DATASET_NAME
from fsar_core.frozen import Frozen
from search_spaces.variants import unknown
from sweeps.engine.reruns import SCHEDULE_NAME
from sweeps.engine.schedules_cron import Cron, read_cron
from sweeps.engine.schedules_faults import faults_of
from sweeps.engine.site import BadRequest, described


class Schedule(Frozen):
    """One entry of the file. Of ``tables`` and ``script`` there is one."""

    tables: tuple[str, ...] = ()
    """Papers (sgtm) or tables of them (sgtm/table5)."""
    script: str | None = None
    """A sweep of this project by its name, e.g. mask_ratio: its table."""
    dataset: str | None = Field(default=None, pattern=DATASET_NAME)
    """None: the papers' own; of a script, motionshapes."""
    preset: str | None = None
    """None: the site's, else the one that suits the data set."""
    site: str = "laptop"
    """A shipped site, or a path to a TOML file, from the current folder."""
    seeds: int = Field(default=2, ge=1, le=100)
    """Trainings per row."""
    seed_start: Literal["same", "slot"] = "same"
    """``same``: seeds 0, 1, ... ``slot``: others in each rerun, made from its slot; for fresh ones."""
    fresh: bool = False
    """Train everything anew, apart from the record. Else what is recorded is used, and what is missing is added."""
    cron: str
    """Minute, hour, day of the month, month, weekday; weekdays by name."""
    time_zone: str = "UTC"
    """An IANA name: cron is read in it."""
    overlap: Literal["skip", "queue"] = "skip"
    """Where an earlier rerun is still at work: leave this one out, or begin after it."""
    missed: Literal["run", "skip"] = "run"
    """Where nothing was there to start it in time, or it was cut short: the newest is made up for within the grace, or
    left out."""
    grace_minutes: int = Field(default=720, ge=1, le=527_040)
    """So late a rerun may still begin."""
    budget_gpu_hours: float | None = Field(default=None, gt=0)
    """A rerun whose plan takes more does not begin."""
    alert_on: Literal["suspicious", "regression"] | None = None
    """``suspicious`` counts regressions too."""
    alert_command: tuple[str, ...] = ()
    """A program and its arguments; no shell reads them."""
    alert_webhook: str | None = None
    """Name of the environment variable that holds the URL."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        faults = faults_of(dict(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def times(self) -> Cron:
        """When it is due."""
        return read_cron(self.cron, self.time_zone)

    def what(self) -> str:
        """For people, what is run again."""
        return self.script or ", ".join(self.tables)


def load_schedules(path: Path) -> dict[str, Schedule]:
    """By name, in the order of the file. Raises BadRequest with every fault of it."""
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest([f"{path}: not a TOML file: {error}"]) from error
    except OSError as error:
        reason = error.strerror or error
        raise BadRequest([f"{path} cannot be read: {reason}; name a file of schedules with --file"]) from error
    entries = content.pop("schedules", None)
    faults = [f"{path}: {key}: there is no such key; entries begin with [schedules.NAME]" for key in content]
    if not isinstance(entries, dict) or not entries:
        raise BadRequest([*faults, f"{path} must hold at least one entry [schedules.NAME]"])
    found: dict[str, Schedule] = {}
    for name, entry in cast(dict[str, object], entries).items():
        own, lines = _read(name, entry)
        faults += [f"{path}: schedules.{name}: {line}" for line in lines]
        found |= {} if own is None else {name: own}
    if faults:
        raise BadRequest(faults)
    return found


def find_schedule(path: Path, name: str) -> Schedule:
    """Raises BadRequest for a name that the file does not have."""
    known = load_schedules(path)
    if name not in known:
        raise BadRequest([f"{path}: {unknown('schedule', name, known)}"])
    return known[name]


def _read(name: str, entry: object) -> tuple[Schedule | None, list[str]]:
    """The schedule, or None and its faults."""
    faults: list[str] = []
    if not re.fullmatch(SCHEDULE_NAME, name):
        faults.append(
            "a name must be of small letters, digits and -, 40 at most, with a letter first and no - at the end"
        )
    if not isinstance(entry, dict):
        return None, [*faults, f"must be a table of keys, got {entry!r}"]
    try:
        return Schedule.model_validate_json(json.dumps(entry, default=str)), faults
    except ValidationError as error:
        fields = [line for line in described(error, _known_keys) if not line.startswith(f"{error.title}: ")]
        return None, [*faults, *fields, *faults_of(cast(dict[str, Any], entry))]


def _known_keys(where: tuple[int | str, ...]) -> str:
    near = get_close_matches(str(where[-1]), Schedule.model_fields, n=1)
    return ", ".join(Schedule.model_fields) + (f"; did you mean {near[0]!r}?" if near else "")
