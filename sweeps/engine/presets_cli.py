"""``fsar presets``: the published ways to train and our own, each in full, and two of them side by side."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fsar_core.data.config import DATASET_NAME
from fsar_core.presets import PRESETS, Preset
from search_spaces.variants import unknown
from sweeps.engine.cli import ended
from sweeps.engine.preset_facts import differences, facts
from sweeps.engine.selection_words import SHORT, on_test
from sweeps.engine.site import BadRequest

app = typer.Typer(
    help="The published ways to train and our own: list, show and compare them.", pretty_exceptions_enable=False
)

_NOT_IMITATED = "Not imitated"
"""First words of what a preset says about its code base that it does not do."""

_PresetName = Annotated[str, typer.Argument(metavar="PRESET", help="A name that `fsar presets` lists.")]
_Dataset = Annotated[str, typer.Option(help="For which data set; ssv2_full_77k counts as ssv2_full.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback(invoke_without_command=True)
def presets(context: typer.Context, as_json: _Json = False) -> None:
    """List all presets: what each is, and where it comes from."""
    if context.invoked_subcommand is None:
        ended(partial(_list, as_json=as_json))


@app.command()
def show(preset: _PresetName, dataset: _Dataset = "hmdb51", as_json: _Json = False) -> NoReturn:
    """Everything that a preset fixes for a data set, with sources and what it does not imitate."""
    ended(partial(_show, preset, dataset, as_json=as_json))


@app.command()
def diff(left: _PresetName, right: _PresetName, dataset: _Dataset = "hmdb51", as_json: _Json = False) -> NoReturn:
    """What differs between two presets, field by field."""
    ended(partial(_diff, left, right, dataset, as_json=as_json))


def _found(names: list[str], dataset: str) -> list[Preset]:
    """Raises BadRequest with all that is wrong."""
    faults = [unknown("preset", name, PRESETS) for name in names if name not in PRESETS]
    if not re.fullmatch(DATASET_NAME, dataset):
        faults.append(f"--dataset must be a name of lower-case letters, digits, '_', '.' and '-', got {dataset!r}")
    if faults:
        raise BadRequest(faults)
    return [PRESETS[name] for name in names]


def _list(console: Console, *, as_json: bool) -> bool:
    if as_json:
        _print_json([_named(preset) for preset in PRESETS.values()])
        return True
    table = Table(box=SIMPLE_HEAD, title="Presets", title_justify="left", padding=0, leading=1)
    table.add_column("preset", no_wrap=True)
    table.add_column("what it is, and its source", overflow="fold")
    for preset in PRESETS.values():
        about = Text(preset.about())
        if _chooses_on_test(preset):
            about.append(f" {SHORT}", style="yellow")
        table.add_row(Text(preset.name, style="bold"), about.append(f"\n{preset.source}", style="dim"))
    console.print(table)
    console.print(
        "fsar presets show NAME: every field.  fsar presets diff NAME NAME: what differs.", style="dim", highlight=False
    )
    return True


def _show(name: str, dataset: str, console: Console, *, as_json: bool) -> bool:
    (preset,) = _found([name], dataset)
    found = facts(preset(dataset))
    if as_json:
        _print_json(_named(preset) | {"dataset": dataset, "fields": [asdict(fact) for fact in found]})
        return True
    console.print(Text.assemble((preset.name, "bold"), f" on {dataset}  ", (preset.source, "dim")))
    console.print(Text(preset.about()))
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column("field", no_wrap=True)
    table.add_column("value", overflow="fold", ratio=4)
    table.add_column("meaning", overflow="fold", ratio=5)
    for fact in found:
        style = "" if fact.value else "bold"
        table.add_row(Text(fact.field, style=style), Text(fact.value), Text(fact.meaning, style="dim"))
    console.print("", table, "")
    _print_notes(preset.notes(), console)
    return True


def _diff(left_name: str, right_name: str, dataset: str, console: Console, *, as_json: bool) -> bool:
    left, right = _found([left_name, right_name], dataset)
    found = differences(left, right, dataset)
    if as_json:
        rows = [asdict(own) for own in found]
        _print_json({"left": _named(left), "right": _named(right), "dataset": dataset, "fields": rows})
        return True
    if not found:
        console.print(f"{left.name} and {right.name} are the same on {dataset}", highlight=False)
        return True
    title = f"{left.name} and {right.name} on {dataset}: {len(found)} fields differ"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1))
    table.add_column("field", no_wrap=True)
    for preset in (left, right):
        table.add_column(preset.name, overflow="fold", ratio=1)
    for own in found:
        table.add_row(Text(own.field), Text(own.left), Text(own.right))
    console.print(table)
    for preset in (left, right):
        kept = tuple(note for note in preset.notes() if note.startswith(_NOT_IMITATED))
        if kept:
            console.print(Text(preset.name, style="bold"))
            _print_notes(kept, console)
    return True


def _print_notes(notes: Sequence[str], console: Console) -> None:
    """The first words of each, up to a colon, in bold."""
    for note in notes:
        head, colon, rest = note.partition(":")
        console.print(Padding(Text.assemble((head + colon, "bold"), rest), (0, 0, 1, 2)))


def _named(preset: Preset) -> dict[str, object]:
    return {
        "preset": preset.name,
        "about": preset.about(),
        "source": preset.source,
        "weights_chosen_on_test": _chooses_on_test(preset),
        "notes": preset.notes(),
    }


def _chooses_on_test(preset: Preset) -> bool:
    return on_test(preset("hmdb51").selection)


def _print_json(content: object) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
