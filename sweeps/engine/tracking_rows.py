"""What a run's folder remembers of its row in MLflow: a relaunch need not search the store, which reads every parameter
of every run there."""

from pydantic import ValidationError

from fsar_core.frozen import Frozen
from sweeps.engine.records import RunFolder, write_aside
from sweeps.engine.results import TableResult

_NAME = "mlflow.json"


class Row(Frozen):
    """A training that stands in MLflow with all its evaluations."""

    store: str
    """Which store: another one, or the same made anew, knows nothing of it."""
    run_id: str
    """MLflow's."""
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


def remember(folder: RunFolder, row: Row) -> None:
    """In the place of what it remembered."""
    write_aside(folder.path / _NAME, row.model_dump_json().encode())


def rows_of(result: TableResult, store: str) -> dict[str, str] | None:
    """MLflow's id of each training of a table by its key; None if a folder does not remember its own."""
    found: dict[str, str] = {}
    for seed in (seed for cell in result.cells for seed in cell.seeds):
        if seed.key not in found:
            row = row_of(seed.folder, store)
            if row is None:
                return None
            found[seed.key] = row.run_id
    return found
