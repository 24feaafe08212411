"""Tests on another data set than that of the training, from the command line to the table's files."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from fsar_core.config import EvalConfig
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.table import Cell, Table
from sweeps.engine.plan import Plan
from tests.fsar_core.videos import write_video
from tests.sweeps.made_folder import launched, refusals, write_site, write_videos
from tests.sweeps.made_launch import Outcome, succeed

COLUMNS = {
    "own": EvalConfig(way=5, episodes=20),
    "far": EvalConfig(dataset="far", way=5, episodes=20),
    "short": EvalConfig(dataset="far", way=4, episodes=20, max_seconds=0.8),
}


def grid(recipe: Recipe) -> Table:
    run = sgtm.run(recipe, sgtm.baseline(recipe.backbone))
    cells = [Cell(row="otam", column=name, settings={}, run=run, evaluation=own) for name, own in COLUMNS.items()]
    return Table(name="made", title="A made table", cells=tuple(cells))


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A site with two data sets of 9 frames at 12 per second; one test class of ``far`` has a longer clip."""
    site = write_site(tmp_path, write_videos(tmp_path / "videos"))
    far = write_videos(tmp_path / "far")
    for split in ("train", "val", "test"):
        for folder in sorted((far / split).iterdir()):
            folder.rename(folder.with_name(f"far {folder.name}"))
    write_video(far / "test" / "far test 1" / "1.mp4", 15, height=48, width=64)
    site.write_text(site.read_text() + f'[datasets.far]\nroot = "{far}"\n')
    return site


def test_each_number_carries_the_fingerprint_of_its_own_data(
    two: Path, tmp_path: Path, plans: Callable[[Outcome], list[Plan]], uri: str
) -> None:
    seen = plans(succeed)
    two.write_text(f'tracking_uri = "{uri}"\n{two.read_text()}')
    result = launched(two, grid=grid)
    assert result.exit_code == 0, result.output
    assert "test clips of far up to 0.8 s, 1-shot: 8 clips of 4 classes" in result.output
    assert "left out for having fewer than 2: 'far test 1' (1)" in result.output
    (plan,) = seen
    prints = plan.fingerprints
    assert set(prints) == {"hmdb51", "far"}
    assert len({*prints.values()}) == 2
    (path,) = tmp_path.glob("output/tables/**/table.csv")
    lines = list(csv.DictReader(path.read_text().splitlines()))
    assert {line["train_fingerprint"] for line in lines} == {prints["hmdb51"]}
    assert [line["test_fingerprint"] for line in lines] == [prints[line["dataset"]] for line in lines]
    assert [line["max_seconds"] for line in lines] == ["", "", "0.8"]
    said = path.with_suffix(".md").read_text()
    assert f"fingerprints: far {prints['far']}, hmdb51 {prints['hmdb51']}" in said
    assert "hmdb51, tested on far" in said
    again = launched(two, grid=grid)
    assert (again.exit_code, len(seen)) == (0, 1)


def test_faults_of_all_data_sets_come_together(two: Path, tmp_path: Path) -> None:
    (tmp_path / "videos" / "train" / "train 1" / "0.mp4").unlink()
    (tmp_path / "far" / "test" / "far test 2").rename(tmp_path / "far" / "test" / "Train-3")
    (tmp_path / "far" / "test" / "far test 4" / "0.mp4").unlink()
    faults = refusals(launched(two, "--dry-run", grid=grid))
    starts = (
        "1-shot episodes with 4 queries per class need 5 videos a class, but 'train 1' in train has 4",
        "1-shot episodes with 1 queries per class need 2 videos a class, but 'far test 4' in test of 'far' has 1",
        "4-way episodes of clips up to 0.8 s need 4 classes with 2 such clips in test of 'far', which has 6 clips of 3",
        "test classes must be new to a run, but 1 of the 5 test classes of 'far' are train classes of 'hmdb51': 'Train",
    )
    assert len(faults) == len(starts)
    for fault, start in zip(faults, starts, strict=True):
        assert fault.startswith(start)


def test_a_data_set_that_the_site_does_not_have_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    site = write_site(tmp_path, write_videos(tmp_path / "videos"))
    faults = refusals(launched(site, "--dry-run", grid=grid))
    assert len(faults) == 1
    assert faults[0].startswith("data set 'far' is not in the site file")
