"""Recorded results of tables into a bundle."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import IO

from fsar_core.aside import written_aside
from fsar_core.kept_weights import finished_weights_file
from sweeps.engine.artifacts import texts
from sweeps.engine.bundle import (
    MANIFEST,
    RUN_KEY,
    CellEntry,
    FileEntry,
    Manifest,
    RunEntry,
    TableEntry,
    copied,
    evaluation_name,
    run_name,
    weights_name,
    without_place,
)
from sweeps.engine.records import EvaluationRecord, RunFolder, RunRecord, Store
from sweeps.engine.results import CellResult, SeedResult, TableResult, UnreadableResultError
from sweeps.engine.site import BadRequest

_SHOWN = ("table.csv", "table.md", "table.html")
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""Of every file in a bundle: when it was written is no part of its content."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What went into a bundle, and what did not."""

    tables: int
    runs: int
    evaluations: int
    weights: int
    without_weights: tuple[str, ...]
    """Keys of runs whose weights were asked for and are not there."""
    unfinished: int
    """Numbers of the tables, counted by seed, that are not recorded."""
    size: int
    """Bytes."""


@dataclass
class _Run:
    folder: RunFolder
    record: RunRecord
    evaluations: dict[str, EvaluationRecord] = field(default_factory=dict)
    """By ``<eval_id>-<fingerprint>``."""


def export(
    results: Mapping[str, TableResult], out: Path, *, weights: bool, tell: Callable[[int, int], None]
) -> Exported:
    """Writes all that is recorded of ``results`` to ``out``; ``tell`` hears of runs written, of so many.

    ``results``: by folder below ``tables/`` in the bundle, such as ``sgtm/table5/motionshapes-laptop``. What a run
    needed first goes along, so that nobody trains it again. Raises BadRequest without anything to write, or a place.
    """
    runs = _recorded(results.values())
    faults = [] if runs else ["nothing of these tables is recorded yet; run them first"]
    if out.suffix != ".zip":
        faults.append(f"--out must end in .zip, got {out}")
    if out.exists():
        faults.append(f"--out must be a new file, but {out} exists; remove it or name another")
    if not out.absolute().parent.is_dir():
        faults.append(f"--out must lie in a folder that exists, got {out}")
    if faults:
        raise BadRequest(faults)
    try:
        with written_aside(out) as aside, zipfile.ZipFile(aside, "w", allowZip64=True) as bundle:
            writer = _Writer(bundle)
            without = _write_runs(writer, runs, weights=weights, tell=tell)
            _write_tables(writer, results)
            writer.finish(_manifest(results, runs, writer.files))
    except OSError as error:
        raise BadRequest([f"{out} must be writable: {error.strerror or error}"]) from error
    return Exported(
        tables=len(results),
        runs=len(runs),
        evaluations=sum(len(run.evaluations) for run in runs.values()),
        weights=len(runs) - len(without) if weights else 0,
        without_weights=tuple(without),
        unfinished=sum(seed.record is None for result in results.values() for seed in _seeds(result)),
        size=out.stat().st_size,
    )


def _seeds(result: TableResult) -> Iterable[SeedResult]:
    return (seed for cell in result.cells for seed in cell.seeds)


def _recorded(results: Iterable[TableResult]) -> dict[str, _Run]:
    """Finished trainings by key, in the order of their keys, each with the evaluations that tables show."""
    runs: dict[str, _Run] = {}
    for result in results:
        for seed in _seeds(result):
            if seed.run_record is None:
                continue
            run = runs.setdefault(seed.key, _Run(seed.folder, seed.run_record))
            _add_needs(runs, run, result.fingerprints)
            if seed.record is not None:
                run.evaluations[f"{seed.eval_id}-{seed.record.fingerprint}"] = seed.record
    return dict(sorted(runs.items()))


def _add_needs(runs: dict[str, _Run], run: _Run, fingerprints: Mapping[str, str]) -> None:
    key = RUN_KEY.fullmatch(run.folder.path.name)
    store = Store(run.folder.path.parents[1], int((key and key["generation"]) or 0))
    own = {**fingerprints, run.record.run.data.dataset: run.record.fingerprint}
    for need in run.record.run.needs:
        if need.run.data.dataset not in own:
            continue
        folder = store.folder(need.run, own[need.run.data.dataset])
        if folder.path.name in runs:
            continue
        try:
            record = folder.record()
        except ValueError as error:
            raise UnreadableResultError(folder, "run.json", error) from error
        if record is not None:
            runs[folder.path.name] = needed = _Run(folder, record)
            _add_needs(runs, needed, fingerprints)


class _Writer:
    """Files of a zip, and what the manifest says of them."""

    def __init__(self, bundle: zipfile.ZipFile) -> None:
        self._bundle = bundle
        self.files: dict[str, FileEntry] = {}

    def text(self, name: str, content: str) -> None:
        self._add(name, io.BytesIO(content.encode()), zipfile.ZIP_DEFLATED)

    def file(self, name: str, path: Path) -> None:
        """As it is: such files are packed already."""
        with path.open("rb") as source:
            self._add(name, source, zipfile.ZIP_STORED)

    def finish(self, manifest: Manifest) -> None:
        self._add(MANIFEST, io.BytesIO(manifest.model_dump_json(indent=1).encode()), zipfile.ZIP_DEFLATED)

    def _add(self, name: str, source: IO[bytes], packing: int) -> None:
        info = zipfile.ZipInfo(name, _MOMENT)
        info.external_attr, info.create_system, info.compress_type = 0o644 << 16, 3, packing
        with self._bundle.open(info, "w", force_zip64=True) as target:
            size, sha256 = copied(source, target)
        self.files[name] = FileEntry(size=size, sha256=sha256)


def _write_runs(
    writer: _Writer, runs: Mapping[str, _Run], *, weights: bool, tell: Callable[[int, int], None]
) -> list[str]:
    """Keys of the runs whose weights are not there."""
    without: list[str] = []
    for done, (key, run) in enumerate(runs.items(), 1):
        writer.text(run_name(key), without_place(run.record).model_dump_json(indent=1))
        for name, record in sorted(run.evaluations.items()):
            writer.text(evaluation_name(key, name, "json"), record.model_dump_json(indent=1))
            eval_id, _, fingerprint = name.partition("-")
            writer.file(evaluation_name(key, name, "parquet"), run.folder.outcomes_path(eval_id, fingerprint))
        file = finished_weights_file(run.folder.checkpoints) if weights else None
        if file is not None:
            writer.file(weights_name(key), file)
        elif weights:
            without.append(key)
        tell(done, len(runs))
    return without


def _write_tables(writer: _Writer, results: Mapping[str, TableResult]) -> None:
    for folder, result in sorted(results.items()):
        written = texts(result)
        for name in _SHOWN:
            writer.text(f"tables/{folder}/{name}", written[name])


def _manifest(results: Mapping[str, TableResult], runs: Mapping[str, _Run], files: dict[str, FileEntry]) -> Manifest:
    origins = [run.record.origin for run in runs.values()]
    origins += [record.origin for run in runs.values() for record in run.evaluations.values()]
    versions: dict[str, set[str]] = {}
    for run in runs.values():
        for name, own in run.record.environment.versions.items():
            versions.setdefault(name, set()).add(own)
    return Manifest(
        program=f"fsar-sweeps {version('fsar-sweeps')}",
        git_commits=tuple(sorted({origin.git_commit for origin in origins})),
        versions={name: tuple(sorted(own)) for name, own in sorted(versions.items())},
        tables={folder: _table(result) for folder, result in sorted(results.items())},
        runs={key: _entry(run) for key, run in runs.items()},
        files=dict(sorted(files.items())),
    )


def _entry(run: _Run) -> RunEntry:
    names = tuple(sorted(run.evaluations))
    return RunEntry(run_id=run.record.run.run_id(), fingerprint=run.record.fingerprint, evaluations=names)


def _table(result: TableResult) -> TableEntry:
    return TableEntry(
        name=result.table.name,
        title=result.table.title,
        seeds=result.seeds,
        fingerprints=dict(result.fingerprints),
        cells=tuple(map(_cell, result.cells)),
    )


def _cell(result: CellResult) -> CellEntry:
    numbers = {str(s.seed): (s.key, f"{s.eval_id}-{s.record.fingerprint}") for s in result.done if s.record}
    return CellEntry(row=result.cell.row, column=result.cell.column, numbers=numbers)
