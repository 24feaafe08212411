"""A backup brings everything back, in another place too; nothing is half done, and nothing damaged is taken."""

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from sweeps.engine import backup_files
from sweeps.engine.backup_databases import copy_sqlite
from sweeps.engine.backup_files import kept_files
from sweeps.engine.fsar import app
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.site import Site, load_site
from sweeps.engine.tracking import Tracking
from tests.sweeps.made_records import PRINTS, fill, run_config, small_table, write_run
from tests.sweeps.mlflow_rows import everything, runs

SEEDS = (0, 1)


def site_file(folder: Path, head: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "site.toml"
    text = f'storage = "{folder / "output"}"\nimports = "{folder / "imports"}"\n{head}\n[datasets]\n'
    path.write_text(text)
    return path


def result_in(site: Site) -> TableResult:
    return collect(small_table(), SEEDS, Store(site.storage), PRINTS)


def record(site: Site) -> None:
    """As the end of a sweep does."""
    tracking, result = Tracking(site.mlflow_uri()), result_in(site)
    tracking.record_runs({seed.key: seed.folder for cell in result.cells for seed in cell.seeds})
    tracking.record_table(result, "launch", "motionshapes", "smoke")


@pytest.fixture
def site(tmp_path: Path, empty_mlflow: Path) -> Path:
    """A table that is trained, recorded and searched; and what a backup leaves out."""
    path = site_file(tmp_path / "here")
    own = load_site(str(path))
    own.storage.mkdir()
    shutil.copy(empty_mlflow, own.storage / "mlflow.db")
    fill(Store(own.storage), small_table(), SEEDS)
    record(own)
    study = optuna.create_study(storage=own.optuna_uri(), study_name="made")
    study.tell(study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}), 0.5)
    own.imports.mkdir()
    (own.imports / "ssv2.parquet").write_bytes(b"a manifest")
    for name in ("locks/made.lock", "tune/trainable/state.json", "tables/.hidden", "tables/t.csv.aside-12-0123abcd"):
        (own.storage / name).parent.mkdir(parents=True, exist_ok=True)
        (own.storage / name).write_text("left out")
    return path


def invoked(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def backed_up(site: Path, root: Path, *flags: str) -> Path:
    result = invoked("backup", root, "--site", site, *flags)
    assert result.exit_code == 0, result.output
    return max(root.glob("2*"))


def refusals(result: Result) -> list[str]:
    assert result.exit_code == 2, result.output
    return [line.removeprefix("refused ") for line in result.output.splitlines() if line.startswith("refused ")]


def test_a_restored_place_shows_the_same_and_a_launch_there_has_nothing_to_add(site: Path, tmp_path: Path) -> None:
    old = load_site(str(site))
    before, accuracies = everything(old.mlflow_uri()), [cell.accuracy for cell in result_in(old).cells]
    made = backed_up(site, tmp_path / "backups")
    there = site_file(tmp_path / "there")
    new = load_site(str(there))
    shutil.move(old.storage, tmp_path / "lost")  # nothing is taken from the old place
    result = invoked("restore", made, "--site", there)
    assert result.exit_code == 0, result.output
    assert "6 trainings; mlflow (sqlite), studies (sqlite)" in result.output
    assert result_in(new).state == "done"
    assert [cell.accuracy for cell in result_in(new).cells] == accuracies
    assert everything(new.mlflow_uri()) == before
    study = optuna.load_study(storage=new.optuna_uri(), study_name="made")
    assert [trial.value for trial in study.trials] == [0.5]
    assert (new.imports / "ssv2.parquet").read_bytes() == b"a manifest"
    ids = {run.info.run_id: run.data.tags["fsar.files"] for run in runs(new.mlflow_uri())}
    record(new)
    assert everything(new.mlflow_uri())["runs"] == before["runs"]
    assert {run.info.run_id: run.data.tags["fsar.files"] for run in runs(new.mlflow_uri())} == ids


def test_artefacts_of_a_restored_mlflow_are_those_of_the_new_place(site: Path, tmp_path: Path) -> None:
    made = backed_up(site, tmp_path / "backups")
    there = site_file(tmp_path / "there")
    assert invoked("restore", made, "--site", there).exit_code == 0
    shutil.rmtree(tmp_path / "here")
    uri = load_site(str(there)).mlflow_uri()
    (first, *_) = runs(uri)
    text = MlflowClient(uri).download_artifacts(first.info.run_id, "run.json", str(tmp_path))
    assert json.loads(Path(text).read_text())["fingerprint"] == PRINTS["motionshapes"]


def test_what_means_nothing_elsewhere_is_left_out(site: Path, tmp_path: Path) -> None:
    (load_site(str(site)).storage / "runs" / "a" / "checkpoints" / "step-5").mkdir(parents=True)
    (load_site(str(site)).storage / "runs" / "a" / "checkpoints" / "step-5" / "weights.safetensors").touch()
    made = backed_up(site, tmp_path / "backups")
    assert {path.name for path in made.iterdir()} == {"backup.json", "databases", "imports", "storage"}
    assert {path.name for path in (made / "storage").iterdir()} == {"artifacts", "runs"}
    assert not list(made.rglob("checkpoints"))


def test_a_backup_is_for_its_owner_alone(site: Path, tmp_path: Path) -> None:
    made = backed_up(site, tmp_path / "backups")
    assert made.stat().st_mode & 0o077 == 0


def test_the_next_backup_takes_only_what_is_new(site: Path, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    backed_up(site, root).rename(root / "20200101T000000Z")
    write_run(Store(load_site(str(site)).storage), run_config(seed=9))
    result = invoked("backup", root, "--site", site)
    second = max(root.glob("2*"))
    inside = [path for name in ("storage", "imports") for path in (second / name).rglob("*") if path.is_file()]
    new = [path for path in inside if path.stat().st_nlink == 1]
    assert [path.name for path in new] == ["run.json"]
    assert f"{len(inside) - 1:,} files were in the last backup already" in result.output


def test_old_backups_are_removed_only_where_that_is_asked_for(site: Path, tmp_path: Path) -> None:
    root = tmp_path / "backups"
    for year in (2019, 2020, 2021):
        backed_up(site, root).rename(root / f"{year}0101T000000Z")
    (root / "20180101T000000Z").mkdir()  # not finished, or somebody else's
    result = invoked("backup", root, "--site", site, "--keep", "2")
    assert result.exit_code == 0
    assert sorted(path.name[:4] for path in root.iterdir()) == ["2018", "2021", max(root.iterdir()).name[:4]]
    assert result.output.count("removed, as --keep says") == 2


def test_damage_is_found_before_anything_is_written(site: Path, tmp_path: Path) -> None:
    made = backed_up(site, tmp_path / "backups")
    (record, other, *_) = sorted((made / "storage" / "runs").glob("*/run.json"))
    text = record.read_text()
    record.write_text(text.replace("motionshapes", "motionshapez", 1))
    other.unlink()
    there = site_file(tmp_path / "there")
    faults = refusals(invoked("restore", made, "--site", there))
    assert faults == [
        f"{record} is damaged: its content is not what was backed up",
        f"{other}: No such file or directory",
    ]
    assert not load_site(str(there)).storage.exists()


def test_a_backup_never_leads_out_of_its_place(site: Path, tmp_path: Path) -> None:
    made = backed_up(site, tmp_path / "backups")
    content = json.loads((made / "backup.json").read_text())
    content["files"]["storage/../../outside"] = next(iter(content["files"].values()))
    (made / "backup.json").write_text(json.dumps(content))
    (fault,) = refusals(invoked("restore", made, "--site", site_file(tmp_path / "there")))
    assert "lies outside of it" in fault


def test_a_place_that_is_not_empty_is_refused_with_all_that_is_in_the_way(site: Path, tmp_path: Path) -> None:
    made = backed_up(site, tmp_path / "backups")
    (first, second, *more) = refusals(invoked("restore", made, "--site", site))
    own = load_site(str(site))
    assert first == f"the storage {own.storage} must be a new or an empty folder; name another, or move it away"
    assert second.startswith(f"{own.imports / 'ssv2.parquet'} is there already")
    assert [fault.partition(":")[0] for fault in more] == ["mlflow", "studies"]


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    (fault,) = refusals(invoked("restore", tmp_path, "--site", site_file(tmp_path / "there")))
    assert fault == f"{tmp_path} is no backup: backup.json in it: No such file or directory"


def test_a_backup_that_cannot_be_made_is_refused_with_all_faults(tmp_path: Path) -> None:
    site = site_file(tmp_path / "here")
    faults = refusals(invoked("backup", tmp_path / "here" / "output" / "b", "--site", site, "--keep", "0"))
    assert [fault.partition(" must")[0] for fault in faults] == [
        f"the storage {tmp_path / 'here' / 'output'}",
        "the backup",
        "--keep",
    ]


def test_the_database_behind_a_server_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    site = site_file(tmp_path / "here", 'tracking_uri = "http://127.0.0.1:1"')
    (fault,) = refusals(invoked("backup", tmp_path / "b", "--site", site))
    assert fault.startswith("tracking_uri of the site is a server; name the database behind it by --store")
    (fault,) = refusals(invoked("backup", tmp_path / "b", "--site", site, "--store", "postgresql://u:secret@h/d"))
    assert "secret" not in fault


def test_without_its_database_mlflow_is_filled_by_the_next_launch(site: Path, tmp_path: Path) -> None:
    before = everything(load_site(str(site)).mlflow_uri())
    made = backed_up(site, tmp_path / "backups", "--store", "none")
    there = site_file(tmp_path / "there")
    result = invoked("restore", made, "--site", there, "--store", "none")
    assert result.exit_code == 0, result.output
    own = load_site(str(there))
    assert not (own.storage / "mlflow.db").exists()
    shutil.copy(tmp_path / "here" / "output" / "mlflow.db", own.storage / "mlflow.db")
    with closing(sqlite3.connect(own.storage / "mlflow.db")) as database, database:
        for name in ("tags", "params", "metrics", "latest_metrics", "runs"):
            database.execute(f"DELETE FROM {name}")
    record(own)
    assert everything(own.mlflow_uri())["runs"] == before["runs"]


def test_a_database_is_whole_though_it_is_written_to_meanwhile(tmp_path: Path) -> None:
    source = tmp_path / "busy.db"
    with closing(sqlite3.connect(source)) as database, database:
        database.execute("CREATE TABLE pairs (a INTEGER, b INTEGER)")
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(source, timeout=30)) as own:
            number = 0
            while not stop.is_set():
                with own:
                    own.execute("INSERT INTO pairs VALUES (?, ?)", (number, 0))
                    own.execute("UPDATE pairs SET b = a WHERE a = ?", (number,))
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            copy_sqlite(source, tmp_path / f"copy{number}.db")
            with closing(sqlite3.connect(tmp_path / f"copy{number}.db")) as copy:
                assert copy.execute("SELECT COUNT(*) FROM pairs WHERE a != b").fetchone() == (0,)
    finally:
        stop.set()
        writer.join()


def test_outcomes_that_were_not_listed_go_with_their_record(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = os.walk

    def listed(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, folders, names in walk(root):
            yield folder, folders, [name for name in names if not name.endswith(".parquet")]

    own = load_site(str(site))
    wanted = {place.inside for place in kept_files(own, weights=False) if place.inside.startswith("storage/runs")}
    monkeypatch.setattr(backup_files.os, "walk", listed)
    found = {place.inside for place in kept_files(own, weights=False) if place.inside.startswith("storage/runs")}
    assert found == wanted
    assert any(name.endswith(".parquet") for name in found)


def test_a_file_that_goes_away_meanwhile_is_told(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = backup_files.copy_file

    def gone(source: Path, target: Path) -> backup_files.Entry:
        if source.name == "ssv2.parquet":
            source.unlink()
        return copy(source, target)

    monkeypatch.setattr(backup_files, "copy_file", gone)
    result = invoked("backup", tmp_path / "backups", "--site", site)
    assert result.exit_code == 0
    assert "removed while it was copied: imports/ssv2.parquet" in result.output
