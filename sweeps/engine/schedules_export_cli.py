"""``fsar schedule export``: schedules for a scheduler that is there already."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from search_spaces.variants import unknown
from sweeps.engine import schedules_export as formats
from sweeps.engine.cli import ended
from sweeps.engine.paper_flags import write_out
from sweeps.engine.schedules import Schedule, load_schedules
from sweeps.engine.schedules_cron_jobs import Pods
from sweeps.engine.schedules_cron_jobs import kubernetes as cron_jobs
from sweeps.engine.site import BadRequest

FILE = Path("schedules.toml")
FileFlag = Annotated[Path, typer.Option("--file", help="The schedules.")]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Schedules; by default all.", show_default=False)
]


def export(
    names: NamesArgument = None,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="CronJobs that hand reruns to a Ray cluster of KubeRay.")
    ] = False,
    cron: Annotated[bool, typer.Option("--cron", help="Lines of a crontab.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Services and timers.")] = False,
    image: Annotated[str, typer.Option(help="Container image of the CronJobs.")] = Pods.image,
    cluster: Annotated[str, typer.Option(help="Name of the RayCluster that CronJobs use.")] = Pods.cluster,
    folder: Annotated[
        str, typer.Option(help="Of its head, on the shared volume: where the schedule file lies.")
    ] = Pods.folder,
    out: Annotated[Path | None, typer.Option(help="Folder for systemd's files; by default they are printed.")] = None,
    file: FileFlag = FILE,
) -> NoReturn:
    """Print schedules for a scheduler that is there already; each calls `fsar schedule run`."""

    def exported(console: Console) -> bool:
        schedules = chosen(file, names)
        faults = [] if kubernetes + cron + systemd == 1 else ["one of --kubernetes, --cron and --systemd must be given"]
        if out is not None and not systemd:
            faults.append("--out is for --systemd, which has several files; send the output of others to a file")
        if faults:
            raise BadRequest(faults)
        if systemd:
            _give(formats.systemd(schedules, formats.here(file)), out, console)
        elif cron:
            typer.echo(formats.crontab(schedules, formats.here(file)), nl=False)
        else:
            pods = Pods(image=image, cluster=cluster, folder=folder)
            typer.echo(cron_jobs(schedules, file.name, pods), nl=False)
        return True

    ended(exported)


def chosen(file: Path, names: list[str] | None) -> dict[str, Schedule]:
    """All of the file, or those named. Raises BadRequest with every unknown name."""
    known = load_schedules(file)
    faults = [f"{file}: {unknown('schedule', name, known)}" for name in names or () if name not in known]
    if faults:
        raise BadRequest(faults)
    return {name: known[name] for name in names or known}


def _give(units: dict[str, str], out: Path | None, console: Console) -> None:
    """Printed, each file begins with a line that names it."""
    for name, text in units.items():
        if out is None:
            typer.echo(f"# /etc/systemd/system/{name}\n{text}")
        else:
            write_out(out / name, text.encode())
            console.print(f"wrote {out / name}", highlight=False, markup=False, soft_wrap=True)
