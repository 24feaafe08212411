"""What is printed of a checkpoint of another code base: what it is, its parts, and where they go."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from fsar_core.checkpoint import part_of
from fsar_core.foreign import Checkpoint, Converted, Found

_NOT_TRAINED = ("running_mean", "running_var", "num_batches_tracked", "pe.pe")
_HOLDERS = ("head", "transformers")
"""First parts of names that say nothing without the next."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Tensors that share their place there and here."""

    theirs: str
    tensors: int
    parameters: int
    """Running statistics and position codes are not counted."""
    goes_to: str
    """Our part, or why it goes nowhere."""
    used: bool


def parts(checkpoint: Checkpoint, converted: Converted) -> tuple[Part, ...]:
    """In the order of the file."""
    goals = {own: (part_of(ours), True) for ours, names in converted.mapped.items() for own in names}
    goals |= {own: (why, False) for own, why in converted.ignored.items()}
    goals |= dict.fromkeys(converted.left_over, ("no place for it", False))
    grouped: dict[tuple[str, str, bool], list[str]] = {}
    for name in checkpoint.weights:
        goal, used = goals.get(name, ("not whole", False))
        grouped.setdefault((_their_part(name), goal, used), []).append(name)
    return tuple(
        Part(
            theirs=theirs,
            tensors=len(names),
            parameters=sum(_parameters(name, checkpoint.weights[name]) for name in names),
            goes_to=goal,
            used=used,
        )
        for (theirs, goal, used), names in grouped.items()
    )


def overview(checkpoint: Checkpoint) -> str:
    """The file in a line or two."""
    size = checkpoint.path.stat().st_size / 1e6
    where = f"under {checkpoint.key!r}" if checkpoint.key else "the whole file"
    tensors = f"{len(checkpoint.weights)} tensors, {where}"
    wrapped = f", {checkpoint.parallel} of them wrapped for several GPUs" if checkpoint.parallel else ""
    others = ", ".join(f"{name} ({what})" for name, what in checkpoint.others.items())
    return f"{checkpoint.path}, {size:.1f} MB: {tensors}{wrapped}" + (f"; beside them {others}" if others else "")


def show_file(checkpoint: Checkpoint, found: Found, converted: Converted, console: Console) -> None:
    """Its code base, what it decides, every part; then what does not fit, and what was not verified."""
    code = found.code
    preset = f"fsar checkpoints test {checkpoint.path.name} --dataset D  (method {code.method}, preset {code.preset})"
    found_parts = parts(checkpoint, converted)
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), show_footer=True)
    table.add_column("in the file", "in all", overflow="fold")
    table.add_column("tensors", str(len(checkpoint.weights)), justify="right")
    table.add_column("parameters", f"{sum(part.parameters for part in found_parts):,}", justify="right")
    table.add_column("goes to", overflow="fold")
    for part in found_parts:
        row = (part.theirs, str(part.tensors), f"{part.parameters:,}", Text(part.goes_to))
        table.add_row(*row, style="" if part.used else "dim")
    console.print(Text.assemble((code.title, "bold"), f"  {code.source}"))
    if found.decided.facts:
        console.print(Text(f"The file says: {listed(found.decided.facts)}"))
    console.print(table)
    for problem in converted.problems():
        console.print(Text.assemble(("does not fit ", "bold red"), problem))
    for note in found.decided.notes:
        console.print(Text(note, style="yellow"))
    for line in code.unverified:
        console.print(Text(f"Not verified: {line}", style="dim"))
    if not converted.problems():
        console.print(Text(f"To measure it: {preset}"), soft_wrap=True)


def file_json(checkpoint: Checkpoint, found: Found, converted: Converted) -> dict[str, object]:
    """What ``show_file`` shows."""
    return {
        "file": str(checkpoint.path),
        "weights_under": checkpoint.key,
        "beside": dict(checkpoint.others),
        "code_base": found.code.title,
        "source": found.code.source,
        "method": found.code.method,
        "preset": found.code.preset,
        "says": dict(found.decided.facts),
        "notes": list(found.decided.notes),
        "unverified": list(found.code.unverified),
        "parts": [vars(part) for part in parts(checkpoint, converted)],
        "ignored": dict(converted.ignored),
        "missing": list(converted.missing),
        "left_over": list(converted.left_over),
        "problems": list(converted.problems()),
    }


def _parameters(name: str, tensor: Tensor) -> int:
    return 0 if name.endswith(_NOT_TRAINED) or not tensor.is_floating_point() else tensor.numel()


def _their_part(name: str) -> str:
    pieces = name.split(".")
    last = next((i for i, piece in enumerate(pieces) if piece not in _HOLDERS), 0)
    return ".".join(pieces[: last + 1])


def listed(facts: Mapping[str, str]) -> str:
    """In a sentence."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())
