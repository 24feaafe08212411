"""What two machines of a cluster must have in common, and where they differ."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch

from sweeps.engine.doctor import GIB, Finding, fail, warn
from sweeps.engine.doctor_machine import wrong_versions
from sweeps.engine.site import Site
from sweeps.engine.source_hash import source_hash

_SKEW_S, _BAD_SKEW_S = 2.0, 60.0
_COMPARED = ("torch", "torchvision", "ray", "optuna", "mlflow", "numpy", "pyarrow", "decord", "av", "pydantic")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Of a machine, told by itself."""

    python: str
    versions: dict[str, str]
    wrong: tuple[str, ...]
    """Packages that the project asks for otherwise."""
    code: str
    """``source_hash``."""
    gpus: tuple[float, ...]
    """Memory of each, GiB."""


def facts() -> Facts:
    """Of this machine."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return Facts(
        python=platform.python_version(),
        versions={name: _version(name) for name in _COMPARED},
        wrong=tuple(wrong_versions()),
        code=source_hash(),
        gpus=tuple(torch.cuda.get_device_properties(i).total_memory / GIB for i in range(count)),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Of a node."""

    facts: Facts
    reads: bool
    """It reads what the driver has just written in ``storage``."""
    seen: bool
    """The driver sees what the node has written there."""
    cache: bool
    """It may write the site's ``cache``."""
    roots: tuple[str, ...]
    """Data sets that it cannot read."""
    skew: float
    """Seconds by which its clock is ahead, at least."""


def told(answer: Answer) -> str:
    """In a line."""
    own = answer.facts
    gpus = ", ".join(f"{size:.0f} GiB" for size in own.gpus) or "none"
    return f"Python {own.python}, torch {own.versions['torch']}, code {own.code}, GPUs: {gpus}; shares storage"


def compared(node: str, here: Facts, answer: Answer, site: Site) -> Iterator[Finding]:
    """Faults of a node; nothing where all is well. ``here``: of the machine that asks."""
    yield from _programs(node, here, answer.facts)
    if not (answer.reads and answer.seen):
        way = "does not read what was written here" if not answer.reads else "writes what is not seen here"
        told = f"{site.storage} is not shared: the node {way}"
        yield fail(node, told, "mount one file system there on all nodes (NFS, EFS, Lustre, a ReadWriteMany claim)")
    if not answer.cache:
        yield fail(node, f"{site.cache} cannot be written", "a cache in the site that every node may write")
    if answer.roots:
        todo = "mount the data on all nodes under the same path"
        yield fail(node, f"data that it cannot read: {', '.join(answer.roots)}", todo)
    if abs(answer.skew) > _SKEW_S:
        told = f"its clock is {abs(answer.skew):.0f} s {'ahead' if answer.skew > 0 else 'behind'}, or more"
        todo = "let NTP set it (timedatectl set-ntp true): times of records are compared"
        yield (fail if abs(answer.skew) > _BAD_SKEW_S else warn)(node, told, todo)


def _programs(node: str, here: Facts, own: Facts) -> Iterator[Finding]:
    todo = "bring all nodes to one state: ray up --no-restart, or pip install -c constraints.txt -e . there"
    if own.wrong:
        yield fail(node, "; ".join(own.wrong), todo)
    if own.python.rpartition(".")[0] != here.python.rpartition(".")[0]:
        yield fail(node, f"Python {own.python}, here {here.python}", todo)
    names = [name for name in here.versions if own.versions.get(name) != here.versions[name]]
    if names:
        pairs = (f"{name} {own.versions.get(name)}, here {here.versions[name]}" for name in names)
        yield fail(node, "; ".join(pairs), todo)
    if own.code != here.code:
        yield fail(node, f"another code of the project: {own.code}, here {here.code}", todo)
