"""What a run's folder remembers of its row in MLflow: a relaunch need not search the store, which reads every parameter
of every run there."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from fsar_core.frozen import Frozen, content_id
from sweeps.engine.records import RunFolder, write_aside

_NAME = "mlflow.json"


class Row(Frozen):
    """A training that stands in MLflow with all its evaluations."""

    store: str
    """Which store: another one, or the same made anew, knows nothing of it."""
    run_id: str = Field(pattern=r"^\w+$")
    """MLflow's; it becomes a part of a search."""
    files: str
    """Digest of the files that it was filled from."""


def row_of(folder: RunFolder, store: str) -> Row | None:
    """None where the folder remembers nothing of this store. A file that cannot be read says nothing either: then the
    store is searched."""
    try:
        row = Row.model_validate_json((folder.path / _NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    return row if row.store == store else None


def rows_in(folders: Mapping[str, RunFolder], store: str) -> dict[str, Row]:
    """What folders remember of this store, by their keys; those that were filled last come first. Keys of others are
    missing."""
    rows = {key: row for key, folder in folders.items() if (row := row_of(folder, store)) is not None}
    return {key: rows[key] for key in sorted(rows, key=lambda key: remembered_at(folders[key]), reverse=True)}


def remembered_at(folder: RunFolder) -> float:
    """Unix time; 0 where it remembers nothing."""
    try:
        return (folder.path / _NAME).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def digests(folder: RunFolder) -> tuple[str, str]:
    """Of all result files, and of the training's alone, from names, sizes and times: nothing is read."""

    def stamp(path: Path) -> str:
        stat = path.stat()
        return f"{path.name} {stat.st_size} {stat.st_mtime_ns}"

    training = [stamp(path) for path in (folder.path / "run.json",) if path.exists()]
    evaluations = sorted(stamp(path) for path in (folder.path / "evaluations").glob("*-*.json"))
    return content_id(*training, *evaluations), content_id(*training)


def remember(folder: RunFolder, row: Row) -> None:
    """In the place of what it remembered."""
    write_aside(folder.path / _NAME, row.model_dump_json().encode())
