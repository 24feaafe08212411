"""``fsar estimate``: operations, time and memory of trainings on this machine, before any is started."""

import json
import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fsar_core.config import RunConfig
from fsar_core.data.config import DATASET_NAME
from fsar_core.presets import PRESETS, default_preset
from search_spaces.table import TableError
from search_spaces.variants import Variant, find_variants, variants_table
from sweeps.engine.cli import DatasetFlag, PresetFlag, SiteFlag, ended
from sweeps.engine.site import BadRequest, Site, load_site
from sweeps.engine.watch import Display

if TYPE_CHECKING:
    from fsar_core.step_cost import StepCost
    from sweeps.engine.probing import Probed

_GIB = 1 << 30
_MAX_SHOTS = 100
_CAPTION = (
    "Counted: operations of an optimiser step (convolutions, matrix products and attention, forward and backward, 2 "
    "per multiply-add), and the most memory that its tensors take, in {precision}: with everything kept for gradients, "
    "and with backbones that compute it again. A {card:g} GB card must hold a tenth and 1 GiB more. "
)
_TIMED = "Measured: seconds a step on {device}, noise for clips, reading of data and looks at val not included. "
_SCALED = "{some} of {all} clips of a batch were measured, the time is scaled to all of them. "


@dataclass(frozen=True, kw_only=True)
class Row:
    """A training, and what it takes."""

    name: str
    """``METHOD/VARIANT``, or where the weights of a training go that others need first."""
    steps: int
    kept: "StepCost"
    recomputed: "StepCost"
    probed: "Probed | None"
    """None: not measured, or there was too little memory for it."""

    def verdict(self, card: float) -> str:
        """Whether the training goes on a card of so many GB, and how."""
        from fsar_core.fitting import fits

        memory = int(card * _GIB)
        if fits(self.kept.peak_bytes, memory):
            return "fits"
        return "fits recomputing" if fits(self.recomputed.peak_bytes, memory) else "too large"


def estimate(
    methods: Annotated[
        list[str], typer.Argument(help="Names that `fsar methods` lists, METHOD/VARIANT for a variant, or all.")
    ],
    site: SiteFlag = "laptop",
    dataset: DatasetFlag = "motionshapes",
    preset: PresetFlag = None,
    shots: Annotated[int | None, typer.Option(help="Train with so many; by default as the preset says.")] = None,
    card: Annotated[float, typer.Option(help="Memory of the GPU in question, GB.")] = 24,
    count_only: Annotated[bool, typer.Option("--count-only", help="Measure no time.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> NoReturn:
    """Tell what trainings will take: parameters, operations, memory, and hours by a short trial. No data is needed."""

    def shown(console: Console) -> bool:
        where, runs = _asked(methods, site, dataset, preset, shots, card)
        display = Display(Console(stderr=True) if as_json else console)
        with display.shown():
            rows = _rows(runs, where, display, measured=not count_only)
        if as_json:
            typer.echo(json.dumps([_as_json(row, runs[row.name], card) for row in rows], indent=2))
        else:
            _print(rows, runs, where, card, console)
        return True

    ended(shown)


def _asked(
    methods: list[str], site: str, dataset: str, preset: str | None, shots: int | None, card: float
) -> tuple[Site, dict[str, RunConfig]]:
    """Raises BadRequest with all faults."""
    faults: list[str] = []
    found: tuple[Variant, ...] = ()
    where: Site | None = None
    chosen = preset or default_preset(dataset)
    try:
        found = find_variants(methods)
    except TableError as error:
        faults += error.faults
    try:
        where = load_site(site)
    except BadRequest as error:
        faults += error.faults
    if chosen not in PRESETS:
        faults.append(f"--preset must be one of {', '.join(sorted(PRESETS))}, got {chosen!r}")
    if not re.fullmatch(DATASET_NAME, dataset):
        faults.append(f"--dataset must match {DATASET_NAME}, got {dataset!r}")
    if shots is not None and not 1 <= shots <= _MAX_SHOTS:
        faults.append(f"--shots must be between 1 and {_MAX_SHOTS}, got {shots}")
    if not 0 < card < float("inf"):
        faults.append(f"--card must be a number of GB above 0, got {card:g}")
    if faults or where is None:
        raise BadRequest(faults)
    try:
        table = variants_table(found, PRESETS[chosen](dataset), shots=(shots or 1,), per_shot=shots is not None)
    except TableError as error:
        raise BadRequest(list(error.faults)) from error
    return where, _with_needs({cell.row: cell.run for cell in table.cells})


def _with_needs(runs: dict[str, RunConfig]) -> dict[str, RunConfig]:
    """Each training that others need first once, before them."""
    needed: dict[str, tuple[str, RunConfig]] = {}

    def add(run: RunConfig) -> None:
        for need in run.needs:
            add(need.run)
            needed.setdefault(need.run.run_id(), (need.target, need.run))

    for run in runs.values():
        add(run)
    targets = [target for target, _ in needed.values()]
    marked = {
        f"first: {target}" + (f" ({key[:4]})" if targets.count(target) > 1 else ""): run
        for key, (target, run) in needed.items()
    }
    return marked | runs


def _rows(runs: dict[str, RunConfig], site: Site, display: Display, *, measured: bool) -> list[Row]:
    from fsar_core.step_cost import step_cost

    count = display.counting("estimating trainings")
    rows: list[Row] = []
    for name, run in runs.items():
        kept, again = (
            step_cost(run, precision=site.precision, frames_at_once=size) for size in (None, site.frames_at_once)
        )
        probed = _probed(run, site) if measured else None
        rows.append(Row(name=name, steps=run.training.steps, kept=kept, recomputed=again, probed=probed))
        count(len(rows), len(runs))
    return rows


def _probed(run: RunConfig, site: Site) -> "Probed | None":
    """In a fresh process, whose memory is its own and goes with it."""
    import torch

    from sweeps.engine.probing import probe_step

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(probe_step, run, site).result()
        except (BrokenProcessPool, torch.OutOfMemoryError):
            return None


def _print(rows: list[Row], runs: dict[str, RunConfig], site: Site, card: float, console: Console) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("training", overflow="fold", min_width=12)
    for heading in ("params\nM", "steps", "TFLOP\n/step", "s/step", "hours", "GiB\nkept", "GiB\nagain"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(f"{card:g} GB card", no_wrap=True)
    for row in rows:
        table.add_row(row.name, *_cells(row, runs[row.name]), row.verdict(card))
    console.print(table)
    caption = _CAPTION.format(precision=site.precision, card=card)
    console.print(caption + _said_of_time(rows), style="dim", highlight=False)


def _cells(row: Row, run: RunConfig) -> list[str]:
    seconds = None if row.probed is None else row.probed.seconds
    time = ("–", "–") if seconds is None else (_short(seconds), _short(seconds * row.steps / 3600))
    memory = (f"{cost.peak_bytes / _GIB:.2f}" for cost in (row.kept, row.recomputed))
    return [f"{_parameters(run) / 1e6:.2f}", str(row.steps), f"{row.kept.flops / 1e12:.3g}", *time, *memory]


def _short(number: float) -> str:
    """Three digits, without an exponent."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}" if number >= 0.001 else "0"


def _said_of_time(rows: Iterable[Row]) -> str:
    probed = [row.probed for row in rows if row.probed is not None]
    if not probed:
        return "Nothing was measured: no time was asked for, or this machine has too little memory."
    least = min(probed, key=lambda own: own.clips / own.of)
    said = _TIMED.format(device=least.device)
    if least.clips < least.of:
        said += _SCALED.format(some=least.clips, all=least.of)
    if any(own.recomputed for own in probed):
        said += "Steps that this device could not hold otherwise were measured recomputing."
    return said


def _parameters(run: RunConfig) -> int:
    import torch

    from fsar_core.cost import BASE_CLASSES

    with torch.device("meta"):
        method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=BASE_CLASSES)
    return sum(own.numel() for own in method.parameters())


def _as_json(row: Row, run: RunConfig, card: float) -> dict[str, object]:
    seconds = None if row.probed is None else row.probed.seconds
    return {
        **asdict(row),
        "parameters": _parameters(run),
        "hours": None if seconds is None else seconds * row.steps / 3600,
        "card": card,
        "verdict": row.verdict(card),
    }
