"""What is not the same in two reruns: code, data, libraries, hardware, recipes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from fsar_core.frozen import Frozen
from sweeps.engine.drift_measured import Measured, Place, Seen
from sweeps.engine.records import Environment
from sweeps.engine.reruns import Code, Machines, Rerun
from sweeps.engine.tracking_fields import params

Kind = Literal["code", "data", "libraries", "hardware", "recipe", "schedule"]
_NONE = "none"
_NOT_KNOWN = "not known"
_OF_EVERY_RUN = ("seed",)


class Change(Frozen):
    """Something that was one way in one rerun and is another way in the other."""

    kind: Kind
    what: str
    before: str
    after: str
    explains: bool = True
    """Whether it may change a number: another commit with the very same sources may not."""


def changes(before: Seen, after: Seen) -> tuple[Change, ...]:
    """Of the cells that both measured, the settings of one training each are read.

    Raises OSError or ValueError where a record cannot be read.
    """
    one, other = before.rerun, after.rerun
    return (
        *_code(one.code, other.code),
        *_each("data", "fingerprint of {}", one.fingerprints, other.fingerprints),
        *_each("libraries", "{}", _versions(one), _versions(other)),
        *_hardware(one, other),
        *_recipes(before.cells, after.cells),
        *_schedule(before, after),
    )


def _code(before: Code, after: Code) -> list[Change]:
    told = [f"{code.git_commit[:12]}{' with uncommitted changes' if code.dirty else ''}" for code in (before, after)]
    same = before.source == after.source
    found = _differing("code", "commit", told[0], told[1], explains=not same)
    if told[0] == told[1]:
        found += _differing("code", "sources", before.source, after.source)
    return found


def _versions(rerun: Rerun) -> dict[str, str]:
    """Of the driver and of all workers, once each."""
    found: dict[str, set[str]] = {"python": {rerun.machines.python}}
    for versions in (rerun.machines.versions, *(own.versions for own in rerun.machines.trained_on)):
        for name, version in versions.items():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _hardware(before: Rerun, after: Rerun) -> list[Change]:
    one, other = before.machines, after.machines
    trained = [
        _differing(
            "hardware", what, *(", ".join(sorted({_word(own, what) for own in m.trained_on})) for m in (one, other))
        )
        for what in ("device", "precision", "host")
    ]
    return [
        *(change for found in trained for change in found),
        *_threads(one, other),
        *_differing("hardware", "host of the driver", one.host, other.host, explains=False),
        *_differing("hardware", "platform", one.platform, other.platform),
    ]


def _threads(before: Machines, after: Machines) -> list[Change]:
    """Of torch in trainings on a CPU: sums are cut up by them. Older records do not name them."""
    told = [
        ", ".join(sorted({str(own.threads or _NOT_KNOWN) for own in m.trained_on if "cpu" in own.device.casefold()}))
        for m in (before, after)
    ]
    return _differing("hardware", "threads of a training", told[0], told[1]) if all(told) else []


def _word(environment: Environment, what: str) -> str:
    match what:
        case "device":
            return environment.device
        case "precision":
            return environment.precision
        case _:
            return environment.host


def _recipes(before: Mapping[Place, Measured], after: Mapping[Place, Measured]) -> list[Change]:
    """Each differing setting once, with the number of its cells."""
    found: Counter[tuple[str, str, str]] = Counter()
    for place in before.keys() & after.keys():
        one, other = _settings(before[place]), _settings(after[place])
        found.update((name, one.get(name, _NONE), other.get(name, _NONE)) for name in _unlike(one, other))
    return [
        Change(kind="recipe", what=f"{name} ({count} cell{'s' * (count > 1)})", before=old, after=new)
        for (name, old, new), count in sorted(found.items())
    ]


def _settings(cell: Measured) -> dict[str, str]:
    number = cell.numbers[0]
    record = cell.folder(number).record()
    if record is None:
        raise ValueError(f"{cell.folder(number).path} holds no finished training any more")
    trained = {name: value for name, value in params(record.run).items() if name not in _OF_EVERY_RUN}
    tested = cell.evaluation.model_dump(mode="json", exclude={"method"})
    return trained | {f"test.{name}": str(value) for name, value in tested.items()}


def _schedule(before: Seen, after: Seen) -> list[Change]:
    one, other = before.rerun, after.rerun
    gone, new = before.cells.keys() - after.cells.keys(), after.cells.keys() - before.cells.keys()
    found = [
        *_differing("schedule", "data set", one.dataset or _NONE, other.dataset or _NONE),
        *_differing("schedule", "preset", one.preset, other.preset),
        *_differing("schedule", "number of seeds", str(len(one.seeds)), str(len(other.seeds)), explains=False),
    ]
    if gone or new:
        what = f"cells that only one measured: {_few(gone | new)}"
        counts = [f"{len(own.cells)} cells" for own in (before, after)]
        found.append(Change(kind="schedule", what=what, before=counts[0], after=counts[1], explains=False))
    return found


def _few(places: Iterable[Place]) -> str:
    names = sorted(f"{place.table}: {place}" for place in places)
    return "; ".join(names[:3]) + (f"; {len(names) - 3} more" if len(names) > 3 else "")


def _each(kind: Kind, what: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    return [
        Change(kind=kind, what=what.format(name), before=before.get(name, _NONE), after=after.get(name, _NONE))
        for name in _unlike(before, after)
    ]


def _unlike(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _differing(kind: Kind, what: str, before: str, after: str, *, explains: bool = True) -> list[Change]:
    return [Change(kind=kind, what=what, before=before, after=after, explains=explains)] if before != after else []
