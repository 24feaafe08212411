"""Bundles that somebody has spoilt: refused with every fault, and nothing of them reaches the storage."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeps.engine.bundle import LIMIT, place_of
from sweeps.engine.records import Store
from sweeps.engine.site import BadRequest
from tests.sweeps.made_bundle import TABLE, content, exported, imported, spoilt, written
from tests.sweeps.made_records import fill

Change = Callable[[dict[str, bytes], dict[str, Any]], None]


@pytest.fixture
def bundle(store: Store, tmp_path: Path) -> Path:
    fill(store, TABLE, seeds=(0,))
    exported(store, tmp_path / "good.zip")
    return tmp_path / "good.zip"


def refused(bundle: Path) -> list[str]:
    """The faults. Fails unless the storage stays as it was."""
    storage = bundle.parent / "other"
    with pytest.raises(BadRequest) as refusal:
        imported(bundle, storage)
    assert not storage.exists()
    return refusal.value.faults


def first(files: dict[str, bytes], suffix: str) -> str:
    return next(name for name in sorted(files) if name.endswith(suffix))


def in_json(suffix: str, change: Callable[[dict[str, Any]], None]) -> Change:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        name = first(files, suffix)
        own = json.loads(files[name])
        change(own)
        files[name] = json.dumps(own).encode()

    return changed


def outcomes(correct: list[int | None], name: str = "correct") -> Change:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        sink = io.BytesIO()
        pq.write_table(pa.table({name: pa.array(correct, pa.uint16())}), sink)
        files[first(files, ".parquet")] = sink.getvalue()

    return changed


def of_json(record: dict[str, Any], path: str, value: object) -> None:
    *parts, last = path.split(".")
    for part in parts:
        record = record[part]
    record[last] = value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (in_json("run.json", lambda r: of_json(r, "run.seed", 7)), "its settings give the run_id"),
        (in_json("run.json", lambda r: of_json(r, "fingerprint", "f" * 16)), "its data have the fingerprint"),
        (in_json("run.json", lambda r: of_json(r, "run.colour", "red")), "is no record that this version can read"),
        (in_json("-aaaa1111bbbb2222.json", lambda r: of_json(r, "accuracy", 0.99)), "says accuracy 0.990000"),
        (in_json("-aaaa1111bbbb2222.json", lambda r: of_json(r, "evaluation.shot", 4)), "give the name"),
        (in_json("-aaaa1111bbbb2222.json", lambda r: of_json(r, "run_id", "0" * 16)), "is of run 0000000000000000"),
        (outcomes([0] * 400), "give 0.000000"),
        (outcomes([0] * 3), "400 outcomes expected"),
        (outcomes([0] * 400, "other"), "must be one column 'correct'"),
        (outcomes([None] * 400), "must not be missing"),
        (outcomes([60_000] * 400), "at most 60000 correct"),
    ],
)
def test_a_claim_that_its_own_content_contradicts_is_refused(bundle: Path, change: Change, said: str) -> None:
    assert said in "\n".join(refused(spoilt(bundle, change)))


def test_all_faults_come_together(bundle: Path) -> None:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        for name in files:
            if name.endswith("-aaaa1111bbbb2222.json"):
                files[name] = files[name].replace(b'"accuracy": 0', b'"accuracy": 1', 1)

    assert len(refused(spoilt(bundle, changed))) == 3


def test_a_changed_byte_is_found(bundle: Path) -> None:
    files = content(bundle)
    files["tables/strm/table2/motionshapes-laptop/table.csv"] += b" "
    (fault,) = refused(written(bundle.with_name("changed.zip"), files))
    assert "table.csv" in fault


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "/etc/evil",
        "runs/../../evil/run.json",
        "runs\\..\\evil",
        "runs/0123456789abcdef-0123456789abcdef/../run.json",
        "runs/0123456789abcdef-0123456789abcdef/checkpoints/step-00000001/state.json",
        "tables/../table.csv",
        "tables/a/table.pkl",
        "tables/a/",
    ],
)
def test_other_names_than_those_of_a_bundle_are_refused(bundle: Path, name: str) -> None:
    assert place_of(name) is None

    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        files[name] = b"x"

    assert f"{name!r}: there is no such file in a bundle" in "\n".join(refused(spoilt(bundle, changed)))
    assert not list(bundle.parent.rglob("evil*"))


def test_a_run_that_the_manifest_does_not_name_is_refused(bundle: Path) -> None:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["runs"].popitem()

    assert all("is not in the manifest" in fault for fault in refused(spoilt(bundle, changed)))


def test_a_run_that_is_only_named_is_refused(bundle: Path) -> None:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        del files[first(files, ".parquet")]

    (fault,) = refused(spoilt(bundle, changed))
    assert "is listed, but not there" in fault


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_read(bundle: Path) -> None:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        files[first(files, "run.json")] = b" " * (LIMIT + 1)

    bomb = spoilt(bundle, changed)
    assert bomb.stat().st_size < LIMIT / 100
    assert f"must have at most {LIMIT} bytes" in "\n".join(refused(bomb))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(bundle: Path) -> None:
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("tables/strm/table2/motionshapes-laptop/table.csv", b"other")
    assert "stands in the zip twice" in refused(bundle)[0]


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    assert "is no zip file" in refused(tmp_path / "text.zip")[0]
    assert "must be a readable file" in refused(tmp_path / "missing.zip")[0]
    assert "one manifest.json" in refused(written(tmp_path / "bare.zip", {"a": b"b"}))[0]
    strange = written(tmp_path / "strange.zip", {"manifest.json": b'{"format": "other", "\\u001b[2J": 1}'})
    faults = refused(strange)
    assert any("format" in fault for fault in faults)
    assert all(fault.isprintable() for fault in faults)


def test_a_later_version_is_refused(bundle: Path) -> None:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["version"] = 2

    (fault,) = refused(spoilt(bundle, changed))
    assert "version" in fault


def test_weights_that_are_none_are_left_out_and_told(bundle: Path) -> None:
    def changed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        key = first(files, "run.json").split("/")[1]
        files[f"runs/{key}/weights.safetensors"] = b"\x80\x04pickle"

    done = imported(spoilt(bundle, changed), bundle.parent / "other")
    (conflict,) = done.conflicts
    assert "are no safetensors file" in conflict
    assert (done.runs, done.evaluations, done.weights) == (3, 3, 0)
    assert not list((bundle.parent / "other").rglob("*.safetensors"))
