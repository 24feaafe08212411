"""What is printed of a measured checkpoint: its accuracies, the printed ones, and how ours came about."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from fsar_core.data.frame_sampling import is_random
from sweeps.engine.checkpoint_measuring import Measured, Ready
from sweeps.engine.checkpoint_views import listed
from sweeps.engine.data_words import normalisation_text, resize_text
from sweeps.engine.method_facts import in_short
from sweeps.engine.selection_words import MARK, caution_of_code


def show_measured(ready: Ready, measured: Sequence[Measured], console: Console) -> None:
    """The table, and below it all that must stand beside the numbers."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0))
    for heading in ("5-way", "ours", "printed", ""):
        table.add_column(heading, justify="left" if heading in ("5-way", "") else "right", no_wrap=True)
    for own in measured:
        ours = f"{100 * own.result.accuracy:.2f} ± {100 * own.result.ci95:.2f}"
        ours += f" {MARK}" if ready.chosen_on_test else ""
        printed = "-" if own.printed is None else f"{own.printed.percent:g}"
        source = "" if own.printed is None else f"{own.printed.source}, on {own.printed.dataset}"
        table.add_row(f"{own.config.shot}-shot", ours, printed, source)
    title = f"{ready.found.code.title} on {ready.source.config.dataset}, preset {ready.preset}"
    console.print(Group(Text(title, style="bold"), table))
    for note in cautions(ready):
        console.print(Text(note, style="yellow"))
    for line in protocol(ready, measured):
        console.print(Text(line, style="dim"))


def cautions(ready: Ready) -> tuple[str, ...]:
    """What a number measured so does not mean."""
    lines = [caution_of_code(ready.found.code.preset)] if ready.chosen_on_test else []
    lines += ready.found.decided.notes
    own, usual = ready.converted.method.backbone.label(), ready.recipe.backbone.label()
    if own != usual:
        lines.append(f"Backbone: {own} in the file, {usual} in the preset {ready.preset}.")
    if ready.preset != ready.found.code.preset:
        lines.append(
            f"The weights were trained as the preset {ready.found.code.preset} reads clips. Another sampling, size or "
            "normalisation costs accuracy without any other sign."
        )
    if ready.converted.drawn:
        lines.append(f"Drawn at random from a fixed seed: {', '.join(ready.converted.drawn)}.")
    return tuple(lines)


def protocol(ready: Ready, measured: Sequence[Measured]) -> tuple[str, ...]:
    """Weights, method, data, frames, pixels, episodes, the meaning of ± and of the printed values; a line each."""
    data, source, converted = ready.source.config, ready.source, ready.converted
    drawn = ", drawn once per clip" if is_random(data.test_sampling) else ""
    one = measured[0].config
    printed = any(own.printed for own in measured)
    return (
        f"Weights: {ready.checkpoint.path.name}, SHA-256 {ready.sha256[:16]}; {len(converted.mapped)} tensors used, "
        f"{len(converted.ignored)} not needed; precision fp32.",
        f"Method: {in_short(converted.method.for_test())}; the file says {listed(ready.found.decided.facts)}.",
        f"Data: {data.dataset}, test: {len(source.labels)} classes, {len(source)} clips; fingerprint "
        f"{source.fingerprint}.",
        f"Frames: {data.frames} per clip, {data.test_sampling}{drawn}.",
        f"Pixels: {resize_text(data.resize)}, central crops of {data.crop}, normalisation "
        f"{normalisation_text(data.normalisation)}.",
        f"Test episodes: {one.episodes:,} with {one.queries} query per class (episode seed {one.seed}), the same as "
        "for trained runs; ± is 1.96 standard errors over them.",
        "Printed values: by the code's own tests, on episodes and copies of the videos of its authors."
        if printed
        else "Printed values: none is known for this method, data set and these shots.",
    )


def measured_json(ready: Ready, measured: Sequence[Measured]) -> dict[str, object]:
    """What ``show_measured`` shows; accuracies in percent."""
    return {
        "file": str(ready.checkpoint.path),
        "sha256": ready.sha256,
        "code_base": ready.found.code.title,
        "method": ready.converted.method.for_test().model_dump(mode="json"),
        "preset": ready.preset,
        "data": ready.source.config.model_dump(mode="json"),
        "fingerprint": ready.source.fingerprint,
        "weights_chosen_on_test": ready.chosen_on_test,
        "cautions": list(cautions(ready)),
        "protocol": list(protocol(ready, measured)),
        "results": [
            {
                "evaluation": own.config.model_dump(mode="json"),
                "accuracy": 100 * own.result.accuracy,
                "ci95": 100 * own.result.ci95,
                "printed": None if own.printed is None else own.printed.model_dump(mode="json"),
                "per_class": {label: 100 * share for label, share in own.result.per_class.items()},
            }
            for own in measured
        ],
    }
