"""A hash that tells any two states of the code apart, and none by where it lies."""

from pathlib import Path

from sweeps.engine.shipped_code import package_folders
from sweeps.engine.source_hash import source_hash

FILES = {"one/a.py": "x = 1", "one/deep/b.csv": "1,2", "two/a.py": "y = 1"}


def made(root: Path, *, apart: bool = False, **changed: str) -> list[Path]:
    """Two packages, side by side or each in a folder of its own; ``changed`` by name without its ending."""
    for name, content in FILES.items():
        package, _, rest = name.partition("/")
        path = root / (f"sent-{package}" if apart else "") / package / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(path.stem, content))
    return [root / (f"sent-{package}" if apart else "") / package for package in ("one", "two")]


def test_it_changes_with_any_python_file_and_table_and_with_their_names(tmp_path: Path) -> None:
    folders = made(tmp_path)
    seen = [source_hash(folders), source_hash(made(tmp_path, a="z = 1")), source_hash(made(tmp_path, b="1,3"))]
    assert source_hash(made(tmp_path)) == seen[0]
    (tmp_path / "one" / "a.py").rename(tmp_path / "one" / "c.py")
    seen.append(source_hash(folders))
    assert len(set(seen)) == len(seen)


def test_packages_that_a_driver_sent_have_the_hash_that_they_have_there(tmp_path: Path) -> None:
    """On a worker each lies in a folder of its own."""
    assert source_hash(made(tmp_path / "driver")) == source_hash(made(tmp_path / "worker", apart=True))


def test_by_default_it_is_that_of_the_project(tmp_path: Path) -> None:
    assert source_hash() == source_hash(package_folders())
    assert source_hash() != source_hash(package_folders()[1:])
