"""What a run's folder remembers of its row in MLflow: a relaunch need not search the store, which reads every parameter
of every run there."""

from collections.abc import Collection

from pydantic import Field, ValidationError

from fsar_core.frozen import Frozen
from sweeps.engine.records import RunFolder, write_aside
from sweeps.engine.results import TableResult

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


def remembered_at(folder: RunFolder) -> float:
    """Unix time; 0 where it remembers nothing."""
    path = folder.path / _NAME
    return path.stat().st_mtime if path.exists() else 0.0


def remember(folder: RunFolder, row: Row) -> None:
    """In the place of what it remembered."""
    write_aside(folder.path / _NAME, row.model_dump_json().encode())


def rows_of(result: TableResult, store: str, confirmed: Collection[str]) -> dict[str, str] | None:
    """MLflow's id of each training of a table by its key; None if a folder does not remember its own, or one that is
    not among the ``confirmed``."""
    found: dict[str, str] = {}
    for seed in (seed for cell in result.cells for seed in cell.seeds):
        if seed.key not in found:
            row = row_of(seed.folder, store)
            if row is None or row.run_id not in confirmed:
                return None
            found[seed.key] = row.run_id
    return found
