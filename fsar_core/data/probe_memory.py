"""Probes and content hashes of files already seen, so that an unchanged data set is indexed in milliseconds."""

import hashlib
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fsar_core.aside import written_aside
from fsar_core.data.video import Probe, UnreadableVideo, has_decord, probe

_LAYOUT = 1  # raise it when probing changes its mind about files


@dataclass(frozen=True)
class Seen:
    """What is known of one file's bytes. Exactly one of ``probed`` and ``fault`` says something."""

    content: str
    """BLAKE2b-128 of the bytes in hexadecimal."""
    probed: Probe | None
    fault: str


@dataclass(frozen=True)
class Stamp:
    """Says whether a file is still the one that was seen."""

    size: int
    mtime_ns: int


Memory = dict[str, tuple[Stamp, Seen]]
"""Absolute path to what was seen there."""


def look_at(path: str) -> Seen:
    """Hashes and probes a file; for worker processes."""
    try:
        with Path(path).open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return Seen(content, probe(Path(path)), "")
    except UnreadableVideo as error:
        return Seen("", None, error.reason)
    except OSError as error:
        return Seen("", None, f"cannot be opened ({error.strerror})")


def recall(path: Path) -> Memory:
    """What ``remember`` wrote; nothing if there is no such file, it is damaged, or other readers made it."""
    try:
        with pq.ParquetFile(path) as file:  # pq.read_table loads all of pyarrow.dataset, ten times slower
            table = file.read()
    except (OSError, pa.ArrowInvalid):
        return {}
    if (table.schema.metadata or {}).get(b"readers") != _readers():
        return {}
    return {row["path"]: _entry(row) for row in table.to_pylist()}


def remember(path: Path, memory: Memory) -> None:
    """Replaces the file in one step."""
    rows = [
        {"path": name, **asdict(stamp), "content": seen.content, "fault": seen.fault, "probed": _fields(seen.probed)}
        for name, (stamp, seen) in sorted(memory.items())
    ]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({"readers": _readers()}))
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        pq.write_table(table, aside)


_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("content", pa.string()),
        ("fault", pa.string()),
        (
            "probed",
            pa.struct(
                [
                    ("frames", pa.int64()),
                    ("height", pa.int32()),
                    ("width", pa.int32()),
                    ("fps", pa.float64()),
                    ("codec", pa.string()),
                    ("decoder", pa.string()),
                ]
            ),
        ),
    ]
)


def _fields(probed: Probe | None) -> dict[str, Any] | None:
    return None if probed is None else asdict(probed)


def _entry(row: dict[str, Any]) -> tuple[Stamp, Seen]:
    probed = None if row["probed"] is None else Probe(**row["probed"])
    return Stamp(row["size"], row["mtime_ns"]), Seen(row["content"], probed, row["fault"])


def _readers() -> bytes:
    return f"{_LAYOUT} av {version('av')} decord {has_decord()}".encode()
