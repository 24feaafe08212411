"""Probes and content hashes of clips already seen, so that an unchanged data set is indexed in milliseconds."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fsar_core.aside import written_aside
from fsar_core.data.stores.location import Location
from fsar_core.data.stores.reading import looked_at
from fsar_core.data.stores.stamp import Stamp
from fsar_core.data.video import Probe, UnreadableVideo, has_decord

_LAYOUT = 1  # raise it when probing changes its mind about files


@dataclass(frozen=True)
class Seen:
    """What is known of one clip's bytes. Exactly one of ``probed`` and ``fault`` says something."""

    content: str
    """As ``stores.reading.looked_at`` names it; empty beside a fault."""
    probed: Probe | None
    fault: str


Memory = dict[str, tuple[Stamp, Seen]]
"""Key of a location to what was seen there."""


def look_at(key: str) -> Seen:
    """Hashes and probes what lies at a location; for worker processes."""
    try:
        content, probed = looked_at(Location.of_key(key))
        return Seen(content, probed, "")
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
