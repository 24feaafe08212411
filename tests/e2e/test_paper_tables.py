"""Tables of several papers from a user's side: one launch, nothing done twice, results that travel."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.sweeping import LIMIT_S, REPOSITORY, Place

pytestmark = pytest.mark.timeout(900)
TABLES = ("sgtm/table4", "sgtm/table5", "strm/fig6", "i2st/table6")
FLAGS = ("--dataset", "motionshapes", "--preset", "tiny", "--seeds", "1")


def called(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*words, *FLAGS, "--site", str(place.site)],
        cwd=place.folder, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


def script(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return called(place, sys.executable, str(REPOSITORY / "sweeps" / "paper_tables.py"), *words)


def fsar(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return called(place, str(Path(sys.executable).parent / "fsar"), *words)


@pytest.fixture(scope="module")
def place(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """With these tables complete."""
    own = Place(tmp_path_factory.mktemp("papers"), benchmark, checkpoint_seconds=60)
    done = script(own, *TABLES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"all 4 tables +█+ 26/26 .* 100 %", done.stdout), done.stdout
    return own


def test_every_cell_of_every_table_has_its_number(place: Place) -> None:
    for name in TABLES:
        shown = fsar(place, "table", name, "--format", "csv")
        cells = list(csv.DictReader(io.StringIO(shown.stdout)))
        assert cells, shown.stderr
        assert {cell["state"] for cell in cells} == {"done"}
        assert all(0 <= float(cell["accuracy"]) <= 1 for cell in cells)


def test_the_same_again_trains_nothing(place: Place) -> None:
    before = {path: path.stat().st_mtime_ns for path in (place.storage / "runs").rglob("*.json")}
    again = script(place, *TABLES)
    assert again.returncode == 0
    assert "training:" not in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (place.storage / "runs").rglob("*.json")} == before


def test_results_travel_to_another_storage_as_one_file(place: Place, benchmark: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "results.zip"
    assert fsar(place, "export", *TABLES, "--out", str(bundle)).returncode == 0
    other = Place(tmp_path, benchmark)
    brought = subprocess.run(
        [str(Path(sys.executable).parent / "fsar"), "import", str(bundle), "--site", str(other.site)],
        cwd=other.folder, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert brought.returncode == 0, brought.stdout + brought.stderr
    shown = fsar(other, "status", *TABLES)
    assert shown.returncode == 0, shown.stdout
    words = " ".join(fsar(other, "table", "sgtm/table5").stdout.split())
    assert "Imported numbers, not made on this storage: 6 of 6 with results.zip" in words
