"""``fsar train``: methods and variants on a data set, as a table through the same engine as every sweep script."""

import math
from typing import Annotated, NoReturn

import typer

from fsar_core.config import EvalConfig
from fsar_core.presets import Recipe
from fsar_core.presets.coding import with_limit
from search_spaces.table import Table, TableError
from search_spaces.variants import Variant, find_variants, variants_table
from sweeps.engine.cli import DatasetFlag, DryRunFlag, FreshFlag, JpegFlag, PresetFlag, SeedsFlag, SiteFlag, show_table
from sweeps.engine.request import Request

_MAX_SHOTS = 100


def train(
    methods: Annotated[
        list[str], typer.Argument(help="Names that `fsar methods` lists, METHOD/VARIANT for a variant, or all.")
    ],
    variants: Annotated[
        str, typer.Option(help="Of each method: names with commas, or all; by default the paper's method alone.")
    ] = "",
    shots: Annotated[str, typer.Option(help="Columns: numbers of shots in a test, with commas.")] = "1,5",
    per_shot: Annotated[
        bool,
        typer.Option("--per-shot", help="Train for each number of shots (TRX, STRM), not once as the preset says."),
    ] = False,
    episodes: Annotated[int, typer.Option(help="Test episodes of a cell.")] = 10_000,
    way: Annotated[int, typer.Option(help="Classes of a test episode.")] = 5,
    max_seconds: Annotated[
        float | None, typer.Option(help="Test only on clips that last at most so long (SSv2-3s, SSv2-5s).")
    ] = None,
    test_on: Annotated[str | None, typer.Option(help="Test on another data set than the one trained on.")] = None,
    train_videos: Annotated[
        int | None,
        typer.Option(help="Train with so many videos of each class, drawn once; by default with all."),
    ] = None,
    site: SiteFlag = "laptop",
    dataset: DatasetFlag = "motionshapes",
    preset: PresetFlag = None,
    seeds: SeedsFlag = 3,
    jpeg: JpegFlag = None,
    dry_run: DryRunFlag = False,
    fresh: FreshFlag = False,
) -> NoReturn:
    """Train methods, test them on the same episodes, show one table. What is recorded is not trained again."""
    faults: list[str] = []
    rows: tuple[Variant, ...] = ()
    try:
        rows = find_variants(methods, _parts(variants))
    except TableError as error:
        faults += error.faults
    columns = _numbers(shots)
    if not columns:
        faults.append(f"--shots must be numbers from 1 to {_MAX_SHOTS} with commas between them, got {shots!r}")
    for flag, least, given in (("episodes", 1, episodes), ("way", 2, way), ("train-videos", 1, train_videos)):
        if given is not None and given < least:
            faults.append(f"--{flag} must be at least {least}, got {given}")
    if max_seconds is not None and not 0 < max_seconds < math.inf:
        faults.append(f"--max-seconds must be a number above 0, got {max_seconds:g}")
    request = Request(
        site=site, dataset=dataset, preset=preset, seeds=seeds, fresh=fresh, jpeg=jpeg, faults=tuple(faults)
    )

    def grid(recipe: Recipe) -> Table:
        test = EvalConfig(way=way, episodes=episodes, max_seconds=max_seconds, dataset=test_on)
        return variants_table(rows, with_limit(recipe, train_videos), shots=columns, per_shot=per_shot, test=test)

    show_table(request, grid, dry_run=dry_run)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _numbers(text: str) -> tuple[int, ...]:
    """Empty if any part is not a number in range."""
    parts = _parts(text)
    good = all(part.isdecimal() and 1 <= int(part) <= _MAX_SHOTS for part in parts)
    return tuple(int(part) for part in parts) if good else ()
