"""What an import found, as a Parquet file: which clip is of which class and split, and where it lies."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from fsar_core.aside import written_aside
from fsar_core.data.folder_scan import SPLITS, Found, Split
from fsar_core.data.stores.location import Location
from fsar_core.data.stores.stamp import stamp_of
from fsar_core.frozen import Frozen

_KEY = b"fsar import"
_SCHEMA = pa.schema([(name, pa.string()) for name in ("split", "label", "name", "path", "inside")])


class BadManifest(Exception):  # noqa: N818 - reads as what it is where it is raised
    """Why the file of an import cannot be used."""


class ImportFacts(Frozen):
    """What is true of the import as a whole."""

    root: Path
    """Absolute; the folder that all paths start at."""
    benchmark: str
    """Name of the known benchmark; empty for a data set of one's own."""
    version: str
    """Which known split it is, in words."""
    lists: str
    """Where the list came from: a folder, or what was taken instead."""
    fps: float = Field(default=0, ge=0)
    """Of clips that do not say; 0: not known."""
    missing: tuple[str, ...] = ()
    """<class>/<video> of what the list names and the root does not have; allowed when it was imported."""
    unreadable: tuple[tuple[str, str], ...] = ()
    """(name, reason) of clips left out; allowed when it was imported."""
    fingerprint: str
    """Of the clips as they were."""


@dataclass(frozen=True)
class Row:
    """A clip. ``name`` has no class in it; ``path`` starts at the root and has slashes."""

    split: Split
    label: str
    name: str
    path: str
    inside: str


@dataclass(frozen=True)
class Import:
    facts: ImportFacts
    rows: tuple[Row, ...]

    def found(self) -> list[Found]:
        """The clips with the stamps of now."""
        clips: list[Found] = []
        for row in self.rows:
            location = Location(self.facts.root / row.path, row.inside)
            clips.append(Found(f"{row.label}/{row.name}", row.label, row.split, location, stamp_of(location)))
        return clips


def manifest_path(folder: Path, dataset: str) -> Path:
    return folder / f"{dataset}.parquet"


def write_manifest(path: Path, imported: Import) -> None:
    """Replaces the file in one step."""
    table = pa.Table.from_pylist(
        [asdict(row) for row in imported.rows],
        schema=_SCHEMA.with_metadata({_KEY: imported.facts.model_dump_json().encode()}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        pq.write_table(table, aside)


def read_manifest(path: Path) -> Import:
    """Raises BadManifest for a file that is missing, damaged, or names clips outside of its root."""
    with _opened(path) as file:
        facts = _facts(file)
        rows = tuple(Row(**row) for row in file.read().to_pylist())
    bad = _outside(rows)
    if bad:
        raise BadManifest(f"{path}: names {bad[0]!r}, which is not below the root; run `fsar data import` again")
    return Import(facts, rows)


def read_facts(path: Path) -> ImportFacts:
    """Without the clips. Raises BadManifest."""
    with _opened(path) as file:
        return _facts(file)


@contextmanager
def _opened(path: Path) -> Generator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not what an import writes"
        raise BadManifest(f"{path}: cannot be read ({why}); run `fsar data import` again") from error


def _facts(file: pq.ParquetFile) -> ImportFacts:
    return ImportFacts.model_validate_json((file.schema_arrow.metadata or {})[_KEY])


def _outside(rows: Sequence[Row]) -> list[str]:
    """Paths that leave the root, and splits that are none."""
    wrong = [row.path for row in rows if ".." in (parts := PurePosixPath(row.path).parts) or parts[:1] == ("/",)]
    return wrong + [row.split for row in rows if row.split not in SPLITS]
