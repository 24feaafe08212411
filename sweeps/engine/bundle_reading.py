"""Reads a bundle that anybody may have made: names are only recognised, sizes limited, every claim checked."""

import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from sweeps.engine.bundle import (
    LIMIT,
    LIMITS,
    MANIFEST,
    MOST_FILES,
    RUN_KEY,
    Manifest,
    copied,
    evaluation_name,
    place_of,
    run_name,
    weights_name,
)
from sweeps.engine.printable import printable
from sweeps.engine.records import EvaluationRecord, RunRecord
from sweeps.engine.site import BadRequest, described

_MOST_EPISODES = 10_000_000
_CLOSE = 1e-9
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What zipfile raises for damaged, encrypted or oddly packed content."""


@dataclass(frozen=True, eq=False)
class Measured:
    """An evaluation with the outcome of every episode."""

    name: str
    """``<eval_id>-<fingerprint>``."""
    record: EvaluationRecord
    correct: NDArray[np.uint16]

    @property
    def eval_id(self) -> str:
        return self.name.partition("-")[0]


class Bundle:
    """An open bundle. Only ``faults`` may be asked of one whose manifest or content was not checked yet."""

    def __init__(self, archive: zipfile.ZipFile, sha256: str) -> None:
        self._archive, self.sha256 = archive, sha256
        self.manifest = _manifest(archive)

    def faults(self, tell: Callable[[int, int], None]) -> list[str]:
        """All that is wrong with it, in the order of its runs; ``tell`` hears of files checked, of so many."""
        faults = self._listed_otherwise()
        if faults:
            return faults
        for done, (name, entry) in enumerate(self.manifest.files.items(), 1):
            try:
                with self._archive.open(name) as file:
                    sound = copied(file) == (entry.size, entry.sha256)
            except _BROKEN:
                sound = False
            if not sound:
                faults.append(f"{name}: its content must have the SHA-256 of the manifest, but has not")
            tell(done, len(self.manifest.files))
        return faults or [fault for key in self.manifest.runs for fault in self._run_faults(key)]

    def unpacked(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.manifest.files.values())

    def record(self, key: str) -> RunRecord:
        return RunRecord.model_validate_json(self._archive.read(run_name(key)))

    def evaluations(self, key: str) -> Iterator[Measured]:
        """Raises ValueError for content that is no evaluation."""
        for name in self.manifest.runs[key].evaluations:
            record = EvaluationRecord.model_validate_json(self._archive.read(evaluation_name(key, name, "json")))
            outcomes = self._archive.read(evaluation_name(key, name, "parquet"))
            yield Measured(name, record, _outcomes(outcomes, record.evaluation.episodes))

    def has_weights(self, key: str) -> bool:
        return weights_name(key) in self.manifest.files

    @contextmanager
    def weights(self, key: str) -> Generator[IO[bytes]]:
        with self._archive.open(weights_name(key)) as file:
            yield file

    def _listed_otherwise(self) -> list[str]:
        """Names, sizes and counts that do not go together."""
        there = [info for info in self._archive.infolist() if info.filename != MANIFEST]
        names, listed = [info.filename for info in there], self.manifest.files
        faults = [f"{name!r}: there is no such file in a bundle" for name in names if place_of(name) is None]
        faults += [f"{name!r}: stands in the zip twice" for name in sorted(_doubled(names))]
        faults += [f"{name!r}: is in the zip, but not in the manifest" for name in sorted(set(names) - set(listed))]
        faults += [f"{name!r}: is in the manifest, but not in the zip" for name in sorted(set(listed) - set(names))]
        for info in there:
            most = LIMITS.get(info.filename.rpartition(".")[2], LIMIT)
            if info.file_size > most:
                faults.append(f"{info.filename!r}: must have at most {most} bytes, says {info.file_size}")
            if info.filename in listed and info.file_size != listed[info.filename].size:
                faults.append(f"{info.filename!r}: has {info.file_size} bytes, in the manifest other ones")
        return faults + self._other_runs()

    def _other_runs(self) -> list[str]:
        expected: set[str] = set()
        for key, run in self.manifest.runs.items():
            expected |= {run_name(key), *(evaluation_name(key, e, "json") for e in run.evaluations)}
            expected |= {evaluation_name(key, e, "parquet") for e in run.evaluations}
        places = {name: place for name in self.manifest.files if (place := place_of(name))}
        found = {name for name, place in places.items() if place.kind in ("run", "evaluation")}
        faults = [f"{name!r}: its run or evaluation is not in the manifest" for name in sorted(found - expected)]
        faults += [f"{name!r}: its run or evaluation is listed, but not there" for name in sorted(expected - found)]
        kept = {place.key for place in places.values() if place.kind == "weights"}
        return faults + [f"weights of {key!r}: there is no such run" for key in sorted(kept - set(self.manifest.runs))]

    def _run_faults(self, key: str) -> list[str]:
        try:
            record = self.record(key)
        except (ValueError, RecursionError) as error:
            return [f"{run_name(key)}: is no record that this version can read: {_short(error)}"]
        found, named, listed = record.run.run_id(), RUN_KEY.fullmatch(key), self.manifest.runs[key]
        faults: list[str] = []
        if named is None or {named["run_id"], listed.run_id} != {found}:
            faults.append(f"{run_name(key)}: its settings give the run_id {found}, which its name must start with")
        if named is None or {named["fingerprint"], listed.fingerprint} != {record.fingerprint}:
            faults.append(f"{run_name(key)}: its data have the fingerprint {record.fingerprint}, its name another one")
        try:
            for measured in self.evaluations(key):
                faults += _evaluation_faults(key, record, measured)
        except (ValueError, RecursionError, pa.ArrowException, OSError) as error:
            faults.append(f"runs/{key}: an evaluation cannot be read: {_short(error)}")
        return faults


@contextmanager
def opened(path: Path) -> Generator[Bundle]:
    """Raises BadRequest for what is no bundle at all."""
    try:
        with path.open("rb") as file:
            _, sha256 = copied(file)
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise BadRequest([f"{path}: must be a readable file: {error.strerror or error}"]) from error
    except zipfile.BadZipFile as error:
        raise BadRequest([f"{path}: must be a bundle of `fsar export`, but is no zip file: {error}"]) from error
    with archive:
        yield Bundle(archive, sha256)


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    infos = archive.infolist()
    own = [info for info in infos if info.filename == MANIFEST]
    if len(own) != 1 or len(infos) > MOST_FILES or own[0].file_size > LIMIT:
        fault = f"a bundle has one {MANIFEST} of at most {LIMIT} bytes, and at most {MOST_FILES:,} files"
        raise BadRequest([f"{archive.filename}: {fault}; this has {len(own)} and {len(infos):,}"])
    try:
        return Manifest.model_validate_json(archive.read(own[0]))
    except ValidationError as error:
        raise BadRequest([f"{archive.filename}, {MANIFEST}: {printable(line)}" for line in described(error)]) from error
    except _BROKEN as error:
        raise BadRequest([f"{archive.filename}, {MANIFEST}: cannot be read: {error}"]) from error


def _outcomes(content: bytes, episodes: int) -> NDArray[np.uint16]:
    """The size is looked at before anything is unpacked."""
    file = pq.ParquetFile(BytesIO(content))
    if file.schema_arrow != pa.schema([("correct", pa.uint16())]):
        raise ValueError(f"outcomes must be one column 'correct' of uint16, got {file.schema_arrow}")
    if file.metadata.num_rows != episodes or episodes > _MOST_EPISODES:
        most = f"at most {_MOST_EPISODES:,}"
        raise ValueError(f"{episodes} outcomes expected ({most}), {file.metadata.num_rows} found")
    column = file.read().column("correct")
    if column.null_count:
        raise ValueError("outcomes must not be missing")
    return column.to_numpy()


def _evaluation_faults(key: str, run: RunRecord, measured: Measured) -> list[str]:
    name, record, config = evaluation_name(key, measured.name, "json"), measured.record, measured.record.evaluation
    faults: list[str] = []
    if record.run_id != run.run.run_id():
        faults.append(f"{name}: is of run {record.run_id}, and must be of {run.run.run_id()}")
    if measured.name != f"{config.eval_id(run.run)}-{record.fingerprint}":
        wanted = f"{config.eval_id(run.run)}-{record.fingerprint}"
        faults.append(f"{name}: its settings and data give the name {wanted}")
    most = config.way * config.queries
    accuracy = float((measured.correct / most).mean())
    if int(measured.correct.max()) > most or abs(accuracy - record.accuracy) > _CLOSE:
        faults.append(
            f"{name}: says accuracy {record.accuracy:.6f}, but its {config.episodes} outcomes (of {most} queries each, "
            f"at most {measured.correct.max()} correct) give {accuracy:.6f}"
        )
    return faults


def _doubled(names: list[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}


def _short(error: BaseException) -> str:
    lines = described(error) if isinstance(error, ValidationError) else [str(error)]
    return printable("; ".join(lines[:3])[:500])
