"""A data set of small real videos in a folder, and a site and a script that use it."""

import os
from pathlib import Path

from optuna.trial import BaseTrial
from typer.testing import CliRunner, Result

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.folder_scan import Split
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.space import Space
from search_spaces.table import Cell, Table
from sweeps.engine.cli import Grid, sweep_script
from tests.fsar_core.videos import write_video

COUNTS: dict[Split, int] = {"train": 5, "val": 2, "test": 2}
"""Videos a class: what 5-way 1-shot with the queries of the preset ``smoke`` takes."""
ROWS = {"otam": 0.1, "loose": 0.5}


def write_videos(root: Path, *, classes: int = 5, counts: dict[Split, int] = COUNTS) -> Path:
    first = root / "first.mp4"
    write_video(first, 9, height=48, width=64)
    content = first.read_bytes()
    first.unlink()
    for split, count in counts.items():
        for label in range(classes):
            for number in range(count):
                path = root / split / f"{split} {label}" / f"{number}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    return root


def write_site(folder: Path, root: Path, *, cache: Path | None = None, head: str = "", entry: str = "") -> Path:
    path = folder / "site.toml"
    storage = "" if "storage" in head else f'storage = "{folder / "output"}"\n'
    path.write_text(
        f'{storage}cache = "{cache or folder / "cache"}"\n{head}\n[datasets.hmdb51]\nroot = "{root}"\n{entry}\n'
    )
    return path


def grid(recipe: Recipe) -> Table:
    """The baseline alone, in two columns."""
    return table_of(sgtm.run(recipe, sgtm.baseline(recipe.backbone)))


def table_of(*runs: RunConfig, names: tuple[str, ...] = ("baseline",)) -> Table:
    cells = [
        Cell(row=row, column=f"{way}-way", settings={}, run=run, evaluation=EvalConfig(way=way, episodes=20))
        for row, run in zip(names, runs, strict=True)
        for way in (5, 3)
    ]
    return Table(name="made", title="A made table", cells=tuple(cells))


def define(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    weight = trial.suggest_float("lambda", 0.0, 1.0, step=0.25)
    return sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy="random", weight=weight))


def space_of(grid: Grid) -> Space:
    """With that grid."""
    return Space(name="made", define=define, first=({"lambda": 0.5},), grid=grid)


def launched(site: Path | str, *flags: str, grid: Grid = grid) -> Result:
    """The script's exit code and output, in this process."""
    return CliRunner().invoke(
        sweep_script((space_of(grid),), "A made sweep."),
        ["--site", str(site), "--dataset", "hmdb51", "--preset", "smoke", "--seeds", "1", *flags],
    )


def refusals(result: Result) -> list[str]:
    """One a fault. Fails unless the script ended as a refusal does."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    return [part.strip() for part in result.output.split("refused ")[1:]]


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below a folder."""
    found = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
