"""This machine: libraries, GPUs, memory, limits of processes."""

import platform
import resource
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import torch
from packaging.requirements import Requirement

from sweeps.engine.doctor import GIB, Finding, fail, ok, warn
from sweeps.engine.estimate import slots
from sweeps.engine.site import Site

PROJECT = "fsar-sweeps"
_MAIN = ("torch", "ray", "optuna", "mlflow")
_FILES = 4096
_FILES_OF_CLUSTERS = 65536
_SHARED_GIB = 1.0
_RUN_GIB = 2.0
"""Of a machine's memory, that a run takes at least: its libraries and a small net."""


def packages(site: Site) -> Iterator[Finding]:
    """Against what the project itself asks for."""
    faults = wrong_versions()
    mains = ", ".join(f"{name} {version(name)}" for name in _MAIN)
    told = f"Python {platform.python_version()}, {mains}"
    if faults:
        yield fail("packages", "; ".join(faults), "pip install -c constraints.txt -e . in this environment")
    else:
        yield ok("packages", told)


def wrong_versions() -> list[str]:
    """Packages that the project asks for and that are absent, or of another version."""
    try:
        asked = [Requirement(line) for line in requires(PROJECT) or ()]
    except PackageNotFoundError:
        return [f"{PROJECT} is not installed"]
    faults: list[str] = []
    for wanted in asked:
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            faults.append(f"{wanted.name} is not installed")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            faults.append(f"{wanted.name} {found}, but {wanted.specifier} is asked for")
    return faults


def gpus(site: Site) -> Iterator[Finding]:
    """Of this machine; those of other nodes are asked there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        yield _no_gpu(site)
        return
    for i in range(count):
        own = torch.cuda.get_device_properties(i)
        told = f"{i}: {own.name}, {own.total_memory / GIB:.1f} GiB, CUDA {torch.version.cuda}, driver {_driver()}"
        if site.precision == "bf16" and own.major < 8:
            yield warn("GPU", told, "it computes bf16 slowly: precision = 'fp32' in the site")
        else:
            yield ok("GPU", told)
    if not site.gpus_per_run:
        yield warn("GPU", "the site gives runs none", "gpus_per_run = 'auto' in the site, or --site workstation")


def _no_gpu(site: Site) -> Finding:
    if not site.gpus_per_run:
        return ok("GPU", "none, and the site's runs ask for none")
    if site.ray == "auto":
        return ok("GPU", "none on this machine; those of other nodes are below")
    why = "torch has no CUDA" if torch.version.cuda is None else f"driver: {_driver()}"
    todo = "mend the driver (nvidia-smi must list the GPU), or use a site without gpus_per_run"
    return fail("GPU", f"torch sees none, but the site gives {site.gpus_per_run:g} to a run; {why}", todo)


def _driver() -> str:
    """Its version, or why that is not known."""
    if shutil.which("nvidia-smi") is None:
        return "none, there is no nvidia-smi"
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi failed: {type(error).__name__}"
    return said.strip().splitlines()[0] if said.strip() else "unknown"


def memory(site: Site) -> Iterator[Finding]:
    """The machine's, and the shared memory that Ray's object store lies in."""
    free, runs = _available(), slots(site)
    if free is not None:
        told = f"{free / GIB:.1f} GiB free for {runs} runs at a time"
        if free < runs * _RUN_GIB * GIB:
            yield warn("memory", told, "a greater cpus_per_run in the site gives fewer runs at a time")
        else:
            yield ok("memory", told)
    shared = Path("/dev/shm")
    if shared.is_dir():
        size = shutil.disk_usage(shared).free
        told = f"{size / GIB:.2f} GiB free in {shared}"
        if size < _SHARED_GIB * GIB:
            yield warn("shared memory", told, "Ray falls back to files: in a container, --shm-size=4g")
        else:
            yield ok("shared memory", told)


def _available() -> int | None:
    """Bytes that Linux can give without swapping; None elsewhere."""
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)


def limits(site: Site) -> Iterator[Finding]:
    """Of open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = _FILES_OF_CLUSTERS if site.ray == "auto" else _FILES
    unlimited = resource.RLIM_INFINITY
    told = f"{'any number of' if soft == unlimited else f'{soft:,}'} open files a process"
    if soft != unlimited and soft < least:
        more = f", which needs {least:,} in /etc/security/limits.conf" if hard not in (unlimited, soft) else ""
        yield warn("limits", told, f"ulimit -n {least} before Ray and the sweep{more}")
    else:
        yield ok("limits", told)
