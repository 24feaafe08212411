"""``fsar masks``: instance masks for methods that train with them."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fsar_core.data.datasets import open_index
from fsar_core.data.mask_files import MaskError
from fsar_core.data.mask_making import Making, make_masks
from fsar_core.data.mask_producers import ClipSeg, MaskProducer, Motion, ProducerName
from fsar_core.data.video import UnreadableVideo
from sweeps.engine.cli import DatasetFlag, SiteFlag, ended
from sweeps.engine.site import BadRequest, described, load_site
from sweeps.engine.watch import Display

_LINE_EVERY_S = 10.0
_THRESHOLD = Making().threshold

app = typer.Typer(help="Instance masks, for methods that train with them.", pretty_exceptions_enable=False)


@app.callback()
def masks() -> None:
    """Instance masks, for methods that train with them."""


@app.command()
def make(
    dataset: DatasetFlag,
    producer: Annotated[ProducerName, typer.Option(help="motion needs no model and is for trials; clipseg does.")],
    site: SiteFlag = "laptop",
    model: Annotated[Path | None, typer.Option(help="Folder of the model; nothing is downloaded.")] = None,
    root: Annotated[Path | None, typer.Option(help="Where the masks go; by default where runs look for them.")] = None,
    canvas: Annotated[int, typer.Option(help="Pixels per side; the whole frame is squeezed to it.")] = 256,
    threshold: Annotated[
        float | None, typer.Option(help=f"What reaches it is inside; by default {_THRESHOLD}.")
    ] = None,
    soft: Annotated[
        bool,
        typer.Option(
            "--soft",
            help="Keep soft masks, without a threshold: many times the size, and training reads them 6 to 30 times "
            "more slowly.",
        ),
    ] = False,
    prompt: Annotated[str, typer.Option(help="{label} becomes the class.")] = "{label}",
) -> None:
    """Masks of all train clips. A killed call goes on where it was; finished files are kept."""

    def carried_out(console: Console) -> bool:
        place = load_site(site).place(dataset)
        try:
            making = Making(canvas=canvas, threshold=_threshold(threshold, soft=soft), prompt=prompt)
            maker = _producer(producer, model)
            index = open_index(place, Display(console).counting)
            target = (root or place.mask_root()).expanduser().absolute()
            with _shown(console, f"masks of {dataset}") as progress:
                kept = make_masks(index, target, maker, making, progress)
        except ValidationError as error:
            raise BadRequest([f"--{line}" for line in described(error)]) from error
        except (MaskError, UnreadableVideo) as error:
            raise BadRequest([str(error)]) from error
        except OSError as error:
            raise BadRequest([f"{error.filename}: {error.strerror or error}; it must be writable"]) from error
        clips = len(index.of("train"))
        console.print(
            f"{clips} clips have masks in {target}, {kept} of them from before", highlight=False, soft_wrap=True
        )
        return True

    ended(carried_out)


def _threshold(asked: float | None, *, soft: bool) -> float | None:
    if soft and asked is not None:
        raise MaskError(f"--threshold: soft masks have none, got {asked:g}; leave out --threshold or --soft")
    return None if soft else _THRESHOLD if asked is None else asked


def _producer(name: ProducerName, model: Path | None) -> MaskProducer:
    if name == "motion":
        if model is not None:
            raise MaskError(f"--model: the producer motion has no model, got {model}; leave it out")
        return Motion()
    if model is None:
        raise MaskError("--model: the producer clipseg needs the folder of its model")
    return ClipSeg(model, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def _shown(console: Console, name: str) -> Generator[Callable[[int, int, int], None]]:
    """A bar with rate and time left; without a terminal, a line every ten seconds."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("clips, {task.fields[rate]:.1f} frames/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=console,
        disable=not console.is_terminal,
    )
    task = bars.add_task(name, total=None, rate=0.0)
    began = said = time.monotonic()

    def count(done: int, total: int, frames: int) -> None:
        nonlocal said
        now = time.monotonic()
        rate = frames / max(now - began, 1e-9)
        bars.update(task, completed=done, total=total, rate=rate)
        if not console.is_terminal and (done == total or now - said > _LINE_EVERY_S):
            said = now
            left = (now - began) / done * (total - done)
            text = f"{name}: {done}/{total} clips, {rate:.1f} frames/s, {left / 60:.1f} min left"
            console.print(text, highlight=False, soft_wrap=True)

    with bars:
        yield count
