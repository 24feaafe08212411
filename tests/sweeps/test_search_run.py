"""What is looked at before a search begins: all points that come first, and the studies that are there."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from optuna.trial import BaseTrial
from typer.testing import CliRunner, Result

from fsar_core.backbones.resnet import ResNet
from fsar_core.config import RunConfig
from fsar_core.methods import frame_matching, sgtm
from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from sweeps.engine import search_training
from sweeps.engine.cli import sweep_script
from sweeps.engine.search_study import KEY, open_study
from sweeps.engine.site import Site
from tests.sweeps.made_folder import define, files, grid, refusals, space_of, write_site, write_videos

Define = Callable[[BaseTrial, Recipe], RunConfig]
MODES = pytest.mark.parametrize("mode", [(), ("--dry-run",)], ids=str)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("home") / "videos")


@pytest.fixture
def site(tmp_path: Path, videos: Path) -> Path:
    (tmp_path / "weights").mkdir()
    return write_site(tmp_path, videos, cache=videos.parent / "cache", head=f'weights = "{tmp_path / "weights"}"')


@pytest.fixture(autouse=True)
def nothing_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(_: Site) -> None:
        pytest.fail("Ray is started")

    monkeypatch.setattr(search_training, "ray_session", started)


def launched(site: Path, define: Define, first: tuple[Point, ...], *flags: str) -> Result:
    space = Space(name="made", define=define, first=first, grid=grid)
    own = ["--site", str(site), "--dataset", "hmdb51", "--preset", "smoke", "--search", "3", *flags]
    return CliRunner().invoke(sweep_script((space,), "A made sweep."), own)


def backbones(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    name = trial.suggest_categorical("backbone", ["small", "resnet18", "resnet50", "no method"])
    if name == "no method":
        raise ValueError("no method fits")
    depths: dict[str, Literal[18, 50]] = {"resnet18": 18, "resnet50": 50}
    backbone = recipe.backbone if name == "small" else ResNet.Config(depth=depths[name])
    trial.suggest_int("same", 0, 1)
    return frame_matching.run(recipe, frame_matching.otam(backbone))


def first(*names: str) -> tuple[Point, ...]:
    return tuple({"backbone": name, "same": 0} for name in names)


@MODES
def test_weights_that_any_of_the_first_points_lacks_are_refused_each_once(site: Path, mode: tuple[str, ...]) -> None:
    names = ("small", "resnet50", "resnet18", "resnet50")
    faults = refusals(launched(site, backbones, first(*names), *mode))
    assert ["resnet18" in fault or "resnet50" in fault for fault in faults] == [True, True]


@MODES
def test_points_that_come_first_and_cannot_be_had_are_refused(site: Path, mode: tuple[str, ...]) -> None:
    points = (*first("small", "no method", "no method"), {"backbone": "small"})
    faults = refusals(launched(site, backbones, points, "--cheap-first", "2", *mode))
    assert faults[0] == "the space made: no method fits"
    assert faults[1].startswith("the space made: The value of the parameter 'same' is not found.")
    assert len(faults) == 2


def renamed(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    weight = trial.suggest_float("weight", 0.0, 1.0, step=0.25)
    return sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy="random", weight=weight))


@MODES
def test_a_space_that_has_changed_under_its_studies_is_refused_before_anything_is_started(
    site: Path, mode: tuple[str, ...]
) -> None:
    flags = ("--cheap-first", "1")
    planned = launched(site, define, ({"lambda": 0.5},), *flags, "--dry-run").output
    name = next(line.split()[1] for line in planned.splitlines() if line.startswith("study "))
    uri = f"sqlite:///{site.parent / 'output' / 'studies.db'}"
    for own in (name, name.replace("made/", "made/head_only/")):
        study = open_study(uri, own, space_of(grid), "hmdb51")
        trial = study.ask()
        trial.suggest_float("lambda", 0.0, 1.0, step=0.25)
        trial.set_user_attr(KEY, "a")
        study.tell(trial, 0.5)
    before = files(site.parent / "output")
    assert launched(site, define, ({"lambda": 0.5},), *flags, "--dry-run").exit_code == 0
    faults = refusals(launched(site, renamed, ({"weight": 0.5},), *flags, *mode))
    for fault, space in zip(faults, ("made", "made/head_only"), strict=True):
        assert fault.startswith(f"the space {space} must be the one that study {space}/hmdb51-")
        assert f"optuna delete-study --storage {uri} --study-name {space}/" in fault
    assert files(site.parent / "output") == before


def test_a_dry_run_makes_no_database(site: Path) -> None:
    assert launched(site, define, ({"lambda": 0.5},), "--cheap-first", "1", "--dry-run").exit_code == 0
    assert files(site.parent / "output") == {}
