"""Bundles of a made table, good ones and spoilt ones."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_spaces.table import Table
from sweeps.engine.bundle_export import Exported, export
from sweeps.engine.bundle_import import Imported, import_bundle
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.results import TableResult, collect
from tests.sweeps.made_records import PRINTS, small_table

TABLE = small_table()
SEEDS = (0, 1)


def silent(done: int, of: int) -> None:
    """Nobody listens."""


def results(store: Store, table: Table = TABLE) -> dict[str, TableResult]:
    return {f"{table.name}/motionshapes-laptop": collect(table, SEEDS, store, PRINTS)}


def exported(store: Store, out: Path, *, table: Table = TABLE, weights: bool = False) -> Exported:
    return export(results(store, table), out, weights=weights, tell=silent)


def imported(bundle: Path, storage: Path, *, dry_run: bool = False) -> Imported:
    return import_bundle(bundle, storage, dry_run=dry_run, checking=silent, adding=silent)


def a_run(store: Store) -> RunFolder:
    """Of the first cell and seed."""
    return results(store)[f"{TABLE.name}/motionshapes-laptop"].cells[0].seeds[0].folder


def content(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def spoilt(bundle: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """Another bundle beside it, with files and manifest changed; sizes and hashes are made to fit again."""
    files = content(bundle)
    manifest = json.loads(files.pop("manifest.json"))
    change(files, manifest)
    manifest["files"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    }
    return written(bundle.with_name("spoilt.zip"), files | {"manifest.json": json.dumps(manifest).encode()})


def written(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
