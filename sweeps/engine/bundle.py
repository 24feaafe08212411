"""A bundle: recorded results in one zip file, for another storage. What is in it, under which names, what is left out.

``runs/<key>/run.json``, ``weights.safetensors`` and ``evaluations/<eval_id>-<fingerprint>.{json,parquet}`` as in a
storage, ``tables/<table>/table.{csv,md,html}`` for readers, and ``manifest.json``, which lists every file.
"""

import hashlib
import re
from typing import IO, Literal, NamedTuple

from pydantic import Field

from fsar_core.frozen import Frozen
from sweeps.engine.records import RunRecord

MANIFEST = "manifest.json"
NOT_TOLD = "not told"
"""Stands for the name of the machine."""

_ID = r"[0-9a-f]{16}"
RUN_KEY = re.compile(rf"(?P<run_id>{_ID})-(?P<fingerprint>{_ID})(-r(?P<generation>[1-9][0-9]{{0,3}}))?")
_EVALUATION = re.compile(rf"evaluations/(?P<name>{_ID}-{_ID})\.(json|parquet)")
_TABLE = re.compile(r"tables/([a-z0-9][a-z0-9_.-]*/)+table\.(csv|md|html)")

MIB = 1 << 20
LIMITS = {"safetensors": 8192 * MIB}
LIMIT = 64 * MIB
"""Bytes of a file after unpacking; of some, by suffix, more."""
MOST_FILES = 500_000


class FileEntry(Frozen):
    """A file of the bundle."""

    size: int = Field(ge=0)
    """Bytes, unpacked."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class RunEntry(Frozen):
    """A training of the bundle."""

    run_id: str
    fingerprint: str
    """Of its training data."""
    evaluations: tuple[str, ...]
    """``<eval_id>-<fingerprint of the test data>``."""


class CellEntry(Frozen):
    """Where the numbers of a cell stand."""

    row: str
    column: str
    numbers: dict[str, tuple[str, str]]
    """By seed, key of the run and name of the evaluation; only of those that were recorded."""


class TableEntry(Frozen):
    """A table of the bundle."""

    name: str
    title: str
    seeds: tuple[int, ...]
    """Those that were asked for."""
    fingerprints: dict[str, str]
    """By data set."""
    cells: tuple[CellEntry, ...]


class Manifest(Frozen):
    """Made of nothing but the records: equal records give an equal bundle, byte by byte."""

    format: Literal["fsar-results"] = "fsar-results"
    version: Literal[1] = 1
    program: str
    """Version of this program."""
    git_commits: tuple[str, ...]
    """Of the code that made the records."""
    versions: dict[str, tuple[str, ...]]
    """Of libraries, by name."""
    tables: dict[str, TableEntry]
    """By folder below ``tables/``."""
    runs: dict[str, RunEntry]
    """By key."""
    files: dict[str, FileEntry]
    """By name in the bundle; all but the manifest."""


class Place(NamedTuple):
    """What a name in a bundle stands for; nothing else of a name is ever used."""

    kind: Literal["run", "weights", "evaluation", "table"]
    key: str = ""
    """Of the run."""
    evaluation: str = ""


def place_of(name: str) -> Place | None:
    """None for a name that a bundle cannot have."""
    if _TABLE.fullmatch(name):
        return Place("table")
    folder, _, rest = name.partition("/")
    key, _, rest = rest.partition("/")
    if folder != "runs" or not RUN_KEY.fullmatch(key):
        return None
    if rest in ("run.json", "weights.safetensors"):
        return Place("run" if rest == "run.json" else "weights", key)
    evaluation = _EVALUATION.fullmatch(rest)
    return None if evaluation is None else Place("evaluation", key, evaluation["name"])


def run_name(key: str) -> str:
    return f"runs/{key}/run.json"


def weights_name(key: str) -> str:
    return f"runs/{key}/weights.safetensors"


def evaluation_name(key: str, evaluation: str, suffix: Literal["json", "parquet"]) -> str:
    return f"runs/{key}/evaluations/{evaluation}.{suffix}"


def without_place(record: RunRecord) -> RunRecord:
    """As it may leave the machine: records hold one thing about who made them, the machine's name."""
    return record.model_copy(update={"environment": record.environment.model_copy(update={"host": NOT_TOLD})})


def copied(source: IO[bytes], target: IO[bytes] | None = None) -> tuple[int, str]:
    """Bytes and SHA-256 of what ``source`` has; without a target it is only read."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(MIB):
        digest.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return size, digest.hexdigest()
