"""``fsar methods``: what methods there are, of which parts, and what they cost; nothing is trained or downloaded."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Literal, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fsar_core.backbones import BackboneConfig, ResNet, SmallNet
from fsar_core.cost import Cost, measure
from fsar_core.methods import all_methods
from search_spaces.table import TableError
from search_spaces.variants import Variant, find_variants
from sweeps.engine.cli import ended
from sweeps.engine.method_facts import Part, in_short, only_training, parts, variant_note, variant_run
from sweeps.engine.site import BadRequest

BackboneName = Literal["resnet18", "resnet50", "small"]
_BACKBONES: dict[BackboneName, BackboneConfig] = {
    "resnet18": ResNet.Config(depth=18),
    "resnet50": ResNet.Config(depth=50),
    "small": SmallNet.Config(),
}
_COUNTED = (
    "Counted at {crop} pixels as the clean preset trains, 2 operations per multiply-add; convolutions, matrix products "
    "and attention only. An episode: 5-way 1-shot, a query per class, in a test, nothing kept from another. A frame: "
    "what stands before the matching, over the frames that the backbone sees. Parameters for 64 base classes."
)


def methods(
    name: Annotated[
        str | None, typer.Argument(help="METHOD or METHOD/VARIANT, to see every field of its parts.")
    ] = None,
    variants: Annotated[bool, typer.Option("--variants", help="List all variants, with what each changes.")] = False,
    backbone: Annotated[BackboneName, typer.Option(help="What everything is built on.")] = "resnet50",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> NoReturn:
    """List the methods with their parts and counted costs, or show one in full."""
    chosen = _BACKBONES[backbone]

    def shown(console: Console) -> bool:
        if name is None:
            found = find_variants(["all"], ["all"] if variants else [])
            _list(found, chosen, console, noted=variants, as_json=as_json)
        else:
            _show(_found(name), chosen, console, as_json=as_json)
        return True

    ended(shown)


def _found(name: str) -> Variant:
    if name == "all":
        raise BadRequest(["one method is shown at a time, got 'all'; `fsar methods` without a name lists all"])
    try:
        return find_variants([name])[0]
    except TableError as error:
        raise BadRequest(list(error.faults)) from error


def _list(found: Iterable[Variant], backbone: BackboneConfig, console: Console, *, noted: bool, as_json: bool) -> None:
    rows: list[tuple[Variant, str, str, Cost]] = []
    crop = 0
    for variant in found:
        run = variant_run(variant.method, variant.name, backbone)
        crop = run.data.crop
        rows.append((variant, in_short(run.method), only_training(run.method), measure(run)))
    if as_json:
        _print_json([_as_row(*row) for row in rows])
        return
    table = Table(box=SIMPLE_HEAD, title=f"Methods on {backbone.label()}", title_justify="left", padding=0, leading=1)
    table.add_column("method", overflow="fold", max_width=28)
    table.add_column("parts", ratio=1, overflow="fold")
    for heading in ("frames", "params\nM", "trained\nM", "in test\nM", "GFLOP\n/frame", "GFLOP/\nepisode"):
        table.add_column(heading, justify="right", no_wrap=True)
    for variant, predicts, trains, cost in rows:
        table.add_row(variant.label(), _summary(variant, predicts, trains, noted=noted), *_numbers(cost))
    console.print(table)
    console.print(_COUNTED.format(crop=crop), style="dim", highlight=False)


def _summary(variant: Variant, predicts: str, trains: str, *, noted: bool) -> Text:
    text = Text(predicts)
    if trains:
        text.append(f"\nin training: {trains}")
    said = variant_note(variant.method, variant.name) if noted else all_methods()[variant.method].title
    return text.append(f"\n{said}", style="dim")


def _numbers(cost: Cost) -> tuple[str, ...]:
    frames = str(cost.frames) if cost.frames == cost.decoded else f"{cost.frames} of {cost.decoded}"
    counts = (cost.parameters, cost.trainable, cost.test_parameters)
    millions = (f"{count / 1e6:.2f}" for count in counts)
    return frames, *millions, f"{cost.flops_per_frame / 1e9:.2f}", f"{cost.flops_per_episode / 1e9:.1f}"


def _as_row(variant: Variant, predicts: str, trains: str, cost: Cost) -> dict[str, object]:
    method = all_methods()[variant.method]
    said = {"title": method.title, "source": method.source, "note": variant_note(variant.method, variant.name)}
    names = {"method": variant.method, "variant": variant.name}
    return {**names, **said, "parts": predicts, "only_training": trains, **asdict(cost)}


def _show(variant: Variant, backbone: BackboneConfig, console: Console, *, as_json: bool) -> None:
    run = variant_run(variant.method, variant.name, backbone)
    method, cost, found = all_methods()[variant.method], measure(run), parts(run)
    if as_json:
        row = _as_row(variant, in_short(run.method), only_training(run.method), cost)
        _print_json({**row, "parts": [asdict(part) for part in found]})
        return
    console.print(Text.assemble((variant.label(), "bold"), f"  {method.title}"))
    console.print(Text.assemble(method.source, f"\n{variant_note(variant.method, variant.name)}"))
    frames, total, _, test, per_frame, per_episode = _numbers(cost)
    console.print(
        f"{total} M parameters, {test} M in a test; {frames} frames of {run.data.crop} pixels; {per_frame} GFLOP a "
        f"frame, {per_episode} a 5-way 1-shot episode; trainings needed first: {len(run.needs)}",
        highlight=False,
    )
    others = [other for other in method.variants if other != variant.name]
    console.print(f"other variants: {', '.join(others) or 'none'}", highlight=False)
    console.print("Values in yellow differ from the part's default, which stands below them.\n", style="dim")
    widths = tuple(
        max((len(getattr(field, of)) for part in found for field in part.fields), default=0) for of in ("name", "value")
    )
    for part in found:
        console.print(Text.assemble((part.kind, "bold cyan"), f"  {part.place}"))
        console.print(Text(part.source, style="dim"))
        console.print(_fields(part, *widths), "")


def _fields(part: Part, name_width: int, value_width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, expand=True)
    table.add_column("field", width=min(30, name_width), overflow="fold")
    table.add_column("value", width=min(26, value_width), overflow="fold")
    table.add_column("meaning", ratio=1)
    for field in part.fields:
        own = field.value != field.default
        value = Text.assemble((field.value, "yellow" if own else ""))
        if own and field.default != "required":
            value.append(f"\ndefault {field.default}", style="dim")
        meaning = Text.assemble((field.choices, "green"), "\n" if field.choices and field.doc else "", field.doc)
        table.add_row(field.name, value, meaning)
    return table


def _print_json(content: object) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
