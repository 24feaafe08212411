"""What a machine or cluster needs before a sweep, looked at one by one: nothing is trained, nothing is left behind."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from fsar_core.data.processes import Progress, silent
from sweeps.engine.credentials import hide_credentials
from sweeps.engine.site import Site

Level = Literal["ok", "warn", "fail"]
"""``warn``: a sweep can run, but slowly, unsafely or not for long. ``fail``: it cannot."""
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Of one check."""

    what: str
    level: Level
    told: str
    """What was found."""
    todo: str = ""
    """What to do about it; empty where all is well."""


Check = Callable[[Site], Iterable[Finding]]


def ok(what: str, told: str) -> Finding:
    return Finding(what=what, level="ok", told=told)


def warn(what: str, told: str, todo: str) -> Finding:
    return Finding(what=what, level="warn", told=told, todo=todo)


def fail(what: str, told: str, todo: str) -> Finding:
    return Finding(what=what, level="fail", told=told, todo=todo)


def examined(site: Site, progress: Progress = silent) -> list[Finding]:
    """All checks, in the order in which their faults would meet a user; the slow ones are last."""
    from sweeps.engine.doctor_data import data_roots, decoding
    from sweeps.engine.doctor_machine import gpus, limits, memory, packages
    from sweeps.engine.doctor_nodes import nodes
    from sweeps.engine.doctor_places import disks, locks
    from sweeps.engine.doctor_services import network, records

    checks: dict[str, Check] = {
        "packages": packages,
        "GPU": gpus,
        "memory": memory,
        "limits": limits,
        "disk": disks,
        "locks": locks,
        "data": data_roots,
        "decoding": decoding,
        "network": network,
        "records": records,
        "nodes": nodes,
    }
    found: list[Finding] = []
    for number, (name, check) in enumerate(checks.items()):
        progress(number, len(checks))
        found += carried_out(name, check, site)
    progress(len(checks), len(checks))
    return found


def carried_out(name: str, check: Check, site: Site) -> list[Finding]:
    """What a check finds; an error in it is a finding too, and does not keep the others from being made."""
    try:
        return list(check(site))
    except Exception as error:
        told = hide_credentials(f"{type(error).__name__}: {error}").strip().splitlines()[0]
        return [fail(name, told, "this check itself failed; the message is all that is known")]


def healthy(found: Iterable[Finding]) -> bool:
    """Whether a sweep can run."""
    return all(finding.level != "fail" for finding in found)
