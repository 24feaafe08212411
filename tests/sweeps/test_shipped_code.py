"""What a driver sends to the workers of a cluster."""

from pathlib import Path

from sweeps.engine.shipped_code import shipped_code

ROOT = Path(__file__).parents[2]


def test_the_packages_of_the_driver_go_along_and_weigh_little() -> None:
    sent = [Path(folder) for folder in shipped_code()["py_modules"]]
    assert sent == [ROOT / "fsar_core", ROOT / "search_spaces", ROOT / "sweeps"]
    files = [
        file for folder in sent for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    assert sum(file.stat().st_size for file in files) < 20 * 2**20, "Ray refuses 500 MiB, and keeps all of it in memory"


def test_what_workers_import_below_the_engine_is_not_found_by_its_place_in_the_repository() -> None:
    """There the packages lie each in a folder of its own."""
    lines = (
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in ("fsar_core", "search_spaces")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if "__file__" in line and "parents[" in line
    )
    assert list(lines) == []
