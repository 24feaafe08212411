"""``fsar data cache``: decodes a data set once, before the runs that read it."""

import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.table import Table

from fsar_core.data.cache_building import find_cache, missing_shards
from fsar_core.data.cache_contents import Contents, contents_of
from fsar_core.data.cache_room import USUAL_JPEG, demand_room, jpeg_share
from fsar_core.data.cache_tidying import unused_caches
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.frame_cache import CacheError
from sweeps.engine.cli import DryRunFlag, JpegFlag, PresetFlag, SiteFlag, ended
from sweeps.engine.request import Prepared, Request, prepare
from sweeps.engine.site import BadRequest
from sweeps.engine.watch import Display

if TYPE_CHECKING:
    from sweeps.engine.decoding import Decoded

_LINE_EVERY_S = 10.0
_MOST_FRAMES = 64


def cache(
    dataset: Annotated[str, typer.Argument(help="A data set of the site, or an imported one.")],
    preset: PresetFlag = None,
    jpeg: JpegFlag = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames per clip, 1 to 64; by default those of the preset.")
    ] = None,
    site: SiteFlag = "laptop",
    remove_unused: Annotated[
        bool,
        typer.Option(
            "--remove-unused", help="First remove caches of earlier versions, or of videos that have changed."
        ),
    ] = False,
    dry_run: DryRunFlag = False,
) -> NoReturn:
    """Decode the frames that a preset's runs can ask for, once, in parallel. A killed call goes on where it was."""
    request = Request(site=site, dataset=dataset, preset=preset, jpeg=jpeg, faults=_frame_faults(frames))

    def carried_out(console: Console) -> bool:
        display = Display(console)
        with display.shown():
            prepared = prepare(request, display)
        root = prepared.site.place(dataset).frames_root()
        if remove_unused:
            _remove_unused(root, prepared, console, dry_run=dry_run)
        data = prepared.recipe_of(dataset).data.model_copy(update={} if frames is None else {"frames": frames})
        wanted = contents_of(prepared.indices[dataset], data, SPLITS)
        _show_need(wanted, root, data, prepared, console)
        if not dry_run:
            _build(data, wanted, root, prepared, console)
        return True

    ended(carried_out)


def _frame_faults(frames: int | None) -> tuple[str, ...]:
    good = frames is None or 1 <= frames <= _MOST_FRAMES
    return () if good else (f"--frames must be from 1 to {_MOST_FRAMES}, got {frames}",)


def _show_need(
    wanted: tuple[Contents, ...], root: Path, data: DataConfig, prepared: Prepared, console: Console
) -> None:
    """What each split takes raw and as JPEG, and what of it is there."""
    quality = data.jpeg or USUAL_JPEG
    chosen = "raw" if data.jpeg is None else f"JPEG {quality}"
    console.print(
        f"{data.dataset}, preset {prepared.preset}: {data.resize.mode} {data.resize.size}, stored {chosen}",
        highlight=False,
    )
    table = Table("split", "clips", "keeps", "frames", "raw", f"JPEG {quality}, about", "shards here", box=None)
    for column in (1, 3, 4, 5, 6):
        table.columns[column].justify = "right"
    for split, contents in zip(SPLITS, wanted, strict=True):
        missing, shards = missing_shards(contents, root)
        raw = contents.raw_bytes()
        table.add_row(
            split,
            f"{len(contents.clips):,}",
            contents.kept.name(),
            f"{contents.frames():,}",
            _size(raw),
            _size(raw * jpeg_share(contents, quality)),
            f"{shards - len(missing)} of {shards}" if shards else "complete",
        )
    console.print(table)
    free = shutil.disk_usage(next(path for path in (root, *root.parents) if path.exists())).free
    console.print(f"{root}: {_size(free)} free", highlight=False, soft_wrap=True)


def _build(data: DataConfig, wanted: tuple[Contents, ...], root: Path, prepared: Prepared, console: Console) -> None:
    local = prepared.site.ray == "local"
    if local:
        try:
            demand_room(root, [(contents, missing_shards(contents, root)[0]) for contents in wanted])
        except CacheError as error:
            raise BadRequest([str(error)]) from error
    if not local or not all(find_cache(contents, root) for contents in wanted):
        _decode(data, prepared, console)
    if local:
        folders = {found.folder: found for contents in wanted if (found := find_cache(contents, root)) is not None}
        stored = sum(found.stored_bytes() for found in folders.values())
        console.print(f"all frames are there: {_size(stored)} in {root}", highlight=False, soft_wrap=True)
    else:
        console.print("all frames are on every node that can carry out a run", highlight=False)


def _decode(data: DataConfig, prepared: Prepared, console: Console) -> None:
    from sweeps.engine.decoding import decode_here, decode_on_nodes  # Ray takes a second to import
    from sweeps.engine.launch import ray_session

    site, fingerprint = prepared.site, prepared.indices[data.dataset].fingerprint
    with ray_session(site), _shown(console) as tell:
        if site.ray == "local":
            decode_here(site.place(data.dataset), data, fingerprint, tell)
        else:
            decode_on_nodes(site, data, fingerprint, tell)


def _remove_unused(root: Path, prepared: Prepared, console: Console, *, dry_run: bool) -> None:
    for path, reason in list(unused_caches(root, prepared.indices[prepared.dataset])):
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        taken = sum(file.stat().st_size for file in files)
        if not dry_run:
            path.unlink() if path.is_file() else shutil.rmtree(path)
        verb = "would remove" if dry_run else "removed"
        console.print(f"{verb} {path} ({_size(taken)}): {reason}", highlight=False, soft_wrap=True)


@contextmanager
def _shown(console: Console) -> Generator[Callable[[str, "Decoded"], None]]:
    """A bar for each cache with rate and time left; without a terminal, a line every ten seconds."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("shards, {task.fields[rate]:.1f} clips/s, {task.fields[written]:.2f} GB"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeLeft(elapsed_when_finished=False),
        console=console,
        disable=not console.is_terminal,
    )
    begun: dict[str, tuple[TaskID, float, int]] = {}
    said: dict[str, float] = {}

    def tell(name: str, decoded: "Decoded") -> None:
        now = time.monotonic()
        if name not in begun:
            task = bars.add_task(name, total=decoded.of, completed=decoded.shards, rate=0.0, written=0.0)
            begun[name], said[name] = (task, now, decoded.shards), now
        task, began, before = begun[name]
        rate, written = decoded.clips / max(now - began, 1e-9), decoded.bytes / 1e9
        bars.update(task, completed=decoded.shards, rate=rate, written=written)
        if not console.is_terminal and (decoded.shards == decoded.of or now - said[name] > _LINE_EVERY_S):
            said[name] = now
            left = (now - began) / max(decoded.shards - before, 1) * (decoded.of - decoded.shards) / 60
            text = f"{rate:.1f} clips/s, {written:.2f} GB, {left:.1f} min left"
            shards = f"{decoded.shards}/{decoded.of} shards"
            console.print(f"{name}: {shards}, {text}", highlight=False, soft_wrap=True)

    with bars:
        yield tell


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB"
