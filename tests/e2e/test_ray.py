"""A table on a real Ray: a run whose code raises is a failed cell, the others go on."""

import csv
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from fsar_core.config import Need, RunConfig
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.table import Table
from sweeps.engine.records import RunFolder
from tests.e2e.processes import ends
from tests.e2e.sweeping import REPOSITORY, wait_until
from tests.sweeps.made_folder import launched, table_of, write_site, write_videos

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


def grid(recipe: Recipe) -> Table:
    """One row that can be trained, one whose loss is not finite after a step, one that needs its weights."""
    good = sgtm.run(recipe, sgtm.baseline(recipe.backbone))
    optimizer = good.optimizer.model_copy(update={"lr": 1e30})
    diverging = RunConfig.model_validate({**dict(good), "optimizer": optimizer})
    need = Need(run=diverging, source="steps.matching", target="steps.matching")
    dependent = RunConfig.model_validate({**dict(good), "needs": (*good.needs, need)})
    return table_of(good, diverging, dependent, names=("good", "diverges", "needs it"))


def test_a_run_that_raises_fails_its_cells_and_what_needs_it_once_while_others_go_on(tmp_path: Path) -> None:
    site = write_site(tmp_path, write_videos(tmp_path / "videos"), head="retries = 3")
    result = launched(site, grid=grid)
    assert result.exit_code == 1, result.output
    assert result.output.count("failed") >= 4
    folders = [RunFolder(path) for path in (tmp_path / "output" / "runs").iterdir()]
    assert len(folders) == 4
    failed = {failure.kind: failure for folder in folders if (failure := folder.failure())}
    assert sorted(failed) == ["bug", "needs"]
    assert "FloatingPointError" in failed["bug"].reason()
    assert failed["needs"].traceback.startswith("not started: it needs ")
    assert sum(folder.record() is not None for folder in folders) == 2
    with (tmp_path / "output" / "tables" / "made" / "hmdb51-smoke" / "table.csv").open(newline="") as file:
        assert [line["state"] for line in csv.DictReader(file)] == [*2 * ["done"], *4 * ["failed"]]
    errors = list((tmp_path / "output" / "tune").rglob("error.txt"))
    assert errors == [], "Ray saw an error: it would have trained again"


def test_ctrl_c_stops_everything_and_says_how_to_go_on(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "videos", counts={"train": 5, "val": 2, "test": 6})
    script = str(REPOSITORY / "sweeps" / "mask_ratio.py")
    flags = ["--site", str(write_site(tmp_path, videos)), "--dataset", "hmdb51", "--preset", "smoke"]
    log = tmp_path / "driver.log"
    with log.open("wb") as out:
        # A shell that starts the tests in the background has them ignore SIGINT, and children inherit that.
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        command = [sys.executable, script, *flags]
        driver = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, preexec_fn=heard)
    wait_until(lambda: list((tmp_path / "output" / "runs").glob("*/checkpoints/step-*")), driver, log)
    family = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=60) == 130, log.read_text()
    assert "the same command goes on from here" in log.read_text()
    assert "Traceback" not in log.read_text()
    ends(family, limit_s=30)
