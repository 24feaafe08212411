"""``fsar checkpoints``: what a file of another code base holds, and what it reaches on our episodes."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sweeps.engine.cli import DatasetFlag, SiteFlag, ended
from sweeps.engine.site import BadRequest
from sweeps.engine.watch import Display

_MAX_SHOTS = 100

app = typer.Typer(help="Checkpoints of TRX, STRM, HyRSM and MoLo's own code.", pretty_exceptions_enable=False)

FileArgument = Annotated[Path, typer.Argument(help="Of torch.save, or .safetensors; no code in it is run.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback()
def checkpoints() -> None:
    """Checkpoints of TRX, STRM, HyRSM and MoLo's own code."""


@app.command()
def show(file: FileArgument, as_json: JsonFlag = False) -> None:
    """What a file holds, which code base wrote it, and where each part goes. Nothing is measured."""

    def shown(console: Console) -> bool:
        from fsar_core.foreign import CheckpointError, convert, read_checkpoint, recognise
        from sweeps.engine.checkpoint_views import file_json, overview, show_file

        try:
            checkpoint = read_checkpoint(file)
            if not as_json:
                console.print(Text(overview(checkpoint)))
            found = recognise(checkpoint)
        except CheckpointError as error:
            raise BadRequest(list(error.faults)) from error
        converted = convert(checkpoint, found)
        if as_json:
            typer.echo(json.dumps(file_json(checkpoint, found, converted), indent=2, ensure_ascii=False))
        else:
            show_file(checkpoint, found, converted, console)
        return not converted.problems()

    ended(shown)


@app.command("test")
def measured_file(
    file: FileArgument,
    dataset: DatasetFlag,
    method: Annotated[
        str | None, typer.Option(help="METHOD or METHOD/VARIANT; by default as the file itself decides.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="How clips are read; by default as the file's code base does.")
    ] = None,
    shots: Annotated[str, typer.Option(help="Numbers of shots, with commas.")] = "1,5",
    episodes: Annotated[int, typer.Option(help="Test episodes of each number of shots.")] = 10_000,
    site: SiteFlag = "laptop",
    as_json: JsonFlag = False,
) -> None:
    """Accuracy of a file's weights on the fixed episodes of a data set, beside the printed one. Nothing is recorded."""
    numbers = _numbers(shots)
    faults = [] if numbers else [f"--shots must be numbers from 1 to {_MAX_SHOTS} with commas, got {shots!r}"]
    if episodes < 1:
        faults.append(f"--episodes must be at least 1, got {episodes}")

    def carried_out(console: Console) -> bool:
        from sweeps.engine.checkpoint_measuring import Asked, measure, prepare
        from sweeps.engine.checkpoint_results import measured_json, show_measured

        asked = Asked(
            path=file,
            method=method,
            preset=preset,
            dataset=dataset,
            site=site,
            shots=numbers,
            episodes=episodes,
            faults=tuple(faults),
        )
        display = Display(Console(stderr=True) if as_json else console)
        with display.shown():
            ready = prepare(asked, display)
            measured = measure(ready, asked, display)
        if as_json:
            typer.echo(json.dumps(measured_json(ready, measured), indent=2, ensure_ascii=False))
        else:
            show_measured(ready, measured, console)
        return True

    ended(carried_out)


def _numbers(text: str) -> tuple[int, ...]:
    """Each once; empty if any part is not a number in range."""
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    good = all(part.isdecimal() and 1 <= int(part) <= _MAX_SHOTS for part in parts)
    return tuple(int(part) for part in parts) if good else ()
