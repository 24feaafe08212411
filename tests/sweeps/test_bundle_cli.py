"""``fsar export``, ``fsar import`` and ``fsar gc`` on the command line, from a paper's table to another storage."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from fsar_core.config import EvalConfig
from search_spaces.table import Cell
from sweeps.engine import job as jobs
from sweeps.engine.bundle_cli import export, import_bundle
from sweeps.engine.bundle_export import export as export_results
from sweeps.engine.gc_cli import gc
from sweeps.engine.gc_references import references
from sweeps.engine.job import carry_out
from sweeps.engine.plan import Plan
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.results import collect
from sweeps.engine.schedules_slots import slot_held
from sweeps.engine.site import Site, load_site
from sweeps.engine.tracking import Tracking
from tests.fsar_core import tiny
from tests.sweeps.made_bundle import imported, silent
from tests.sweeps.made_folder import files, launched, refusals, write_site, write_videos
from tests.sweeps.made_jobs import EVALUATIONS, PRINT, job_of, opened
from tests.sweeps.made_jobs import silent as unheard
from tests.sweeps.made_launch import Outcome, succeed
from tests.sweeps.made_plans import FIRST, made_table, needing
from tests.sweeps.made_records import PRINTS, TRAIN, run_config, small_table, write_run

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(export)
app.command("import")(import_bundle)
app.command()(gc)
FLAGS = ("--preset", "smoke", "--dataset", "hmdb51", "--seeds", "1")


def fsar(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("home") / "videos", counts={"train": 9, "val": 6, "test": 6})


@pytest.fixture
def site(tmp_path: Path, videos: Path, uri: str) -> Path:
    return write_site(tmp_path, videos, cache=videos.parent / "cache", head=f'tracking_uri = "{uri}"')


def other_site(site: Path) -> Path:
    folder = site.parent / "other"
    folder.mkdir()
    path = folder / "site.toml"
    path.write_text(site.read_text().replace(str(site.parent / "output"), str(folder / "output")))
    return path


def recorded(site: Path, table: str) -> None:
    """As if all of it had been trained."""
    from rich.console import Console

    from sweeps.engine.paper_flags import paper_request
    from sweeps.engine.sweep import planned
    from sweeps.engine.watch import Display

    request, tables_of = paper_request([table], False, site=str(site), dataset="hmdb51", preset="smoke", seeds=1)
    plan = planned(request, tables_of, Display(Console(quiet=True))).plan
    for own in plan.todo():
        succeed(own, plan)


class TestBundles:
    def test_a_table_of_a_paper_goes_to_another_storage_and_is_complete_there(self, site: Path, tmp_path: Path) -> None:
        bundle, other = tmp_path / "results.zip", other_site(site)
        recorded(site, "sgtm/table4")
        result = fsar("export", "sgtm/table4", "--out", str(bundle), "--site", str(site), *FLAGS)
        assert result.exit_code == 0, result.output
        assert "1 table, " in result.output
        before = files(other.parent)
        dry = fsar("import", str(bundle), "--site", str(other), "--dry-run")
        assert dry.exit_code == 0
        assert "would add" in dry.output
        assert files(other.parent) == before
        added = fsar("import", str(bundle), "--site", str(other))
        assert added.exit_code == 0, added.output
        assert "trained on hmdb51, fingerprint " in added.output
        again = fsar("export", "sgtm/table4", "--out", str(tmp_path / "b.zip"), "--site", str(other), *FLAGS)
        assert again.exit_code == 0, again.output

    def test_numbers_that_are_missing_end_an_export_with_1(self, site: Path, tmp_path: Path) -> None:
        recorded(site, "sgtm/table4")
        shutil.rmtree(next(site.parent.joinpath("output", "runs").glob("*/evaluations")))
        words = ("export", "sgtm/table4", "--out", str(tmp_path / "a.zip"), "--site", str(site), *FLAGS, "--weights")
        result = fsar(*words)
        assert result.exit_code == 1
        assert "which are not recorded yet" in result.output
        assert "no weights of" in result.output

    def test_unknown_tables_and_nothing_recorded_are_refused(self, site: Path, tmp_path: Path) -> None:
        words = ("--out", str(tmp_path / "a.zip"), "--site", str(site), *FLAGS)
        assert "did you mean" in refusals(fsar("export", "sgtm/tabel4", *words))[0]
        assert "nothing of these tables is recorded" in refusals(fsar("export", "sgtm/table4", *words))[0]
        assert not (tmp_path / "a.zip").exists()

    def test_a_bundle_that_is_none_is_refused(self, site: Path, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_text("text")
        assert "is no zip file" in refusals(fsar("import", str(tmp_path / "a.zip"), "--site", str(site)))[0]


def test_imported_weights_are_measured_further_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_opened", opened)
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    run, later = tiny.run(), EvalConfig(way=3, episodes=25, seed=5)
    job = job_of(tmp_path, run).model_copy(update={"folder": ours.folder(run, PRINT).path})
    carry_out(job.model_copy(update={"missing": (*EVALUATIONS, later)}), unheard)
    cell = Cell(row="tiny", column="1-shot", settings={}, run=run, evaluation=EVALUATIONS[0])
    result = collect(made_table(cell), (0,), ours, {"made": PRINT})
    export_results({"made": result}, tmp_path / "a.zip", weights=True, tell=silent)
    imported(tmp_path / "a.zip", theirs.root)
    folder = theirs.folder(run, PRINT)
    carry_out(
        job.model_copy(update={"folder": folder.path, "missing": (later,)}),
        lambda step, points: pytest.fail("it trains"),
    )
    measured = folder.outcomes(later.eval_id(run), PRINT)
    assert (measured == RunFolder(job.folder).outcomes(later.eval_id(run), PRINT)).all()


class TestGc:
    def test_it_shows_what_it_would_free_and_frees_it_with_yes(self, site: Path) -> None:
        checkpoints = site.parent / "output" / "runs" / f"{'0' * 16}-{'1' * 16}" / "checkpoints"
        for step in (100, 200):
            (checkpoints / f"step-{step:08d}").mkdir(parents=True)
            (checkpoints / f"step-{step:08d}" / "weights.safetensors").write_bytes(bytes(5_000_000))
        shown = fsar("gc", "--site", str(site))
        assert shown.exit_code == 0, shown.output
        assert "old checkpoint" in shown.output
        assert "would free 0.005 GiB; --yes removes it" in shown.output
        assert len(list(checkpoints.iterdir())) == 2
        assert "freed 0.005 GiB" in fsar("gc", "--site", str(site), "--yes").output
        assert [path.name for path in checkpoints.iterdir()] == ["step-00000200"]
        assert "would free 0.000 GiB\n" in fsar("gc", "--site", str(site)).output

    def test_reruns_at_work_are_told(self, site: Path) -> None:
        with slot_held(load_site(str(site)), "nightly", "20261121T030000Z") as got:
            assert got
            shown = fsar("gc", "--site", str(site))
        assert "left alone, at work now: 1 of the reruns of schedules" in shown.output

    def test_faults_are_refused(self, site: Path, tmp_path: Path) -> None:
        assert "from 0" in refusals(fsar("gc", "--site", str(site), "--older-than", "-1"))[0]
        assert "names no run of any" in refusals(fsar("gc", "--site", str(site), "--unreferenced"))[0]
        bare = write_site(tmp_path, tmp_path)
        assert "does not exist" in refusals(fsar("gc", "--site", str(bare), "--unreferenced"))[0]

    def test_runs_that_tables_name_stay_whatever_their_age(
        self, site: Path, plans: Callable[[Outcome], list[Plan]]
    ) -> None:
        plans(succeed)
        assert launched(site).exit_code == 0
        runs = site.parent / "output" / "runs"
        named = {path.name for path in runs.iterdir()}
        write_run(Store(site.parent / "output"), run_config())
        for path in (*runs.rglob("*"), *runs.iterdir()):
            os.utime(path, (time.time() - 4e6, time.time() - 4e6))
        result = fsar("gc", "--site", str(site), "--unreferenced", "--yes")
        assert result.exit_code == 0, result.output
        assert f"unreferenced: {runs / Store(site).key(run_config(), TRAIN)}" in result.output
        assert {path.name for path in runs.iterdir()} == named


def test_references_are_the_runs_of_cells_and_what_trainings_need(store: Store, uri: str, tmp_path: Path) -> None:
    tracking, table = Tracking(uri), small_table()
    run = table.cells[0].run
    needs = needing(run_config(0.7), FIRST)
    for own in (run, needs):
        write_run(store, own)
        tracking.record_run(store.key(own, TRAIN), store.folder(own, TRAIN))
    tracking.record_table(collect(table, (0,), store, PRINTS), "launch", "motionshapes", "laptop")
    found = references(Site(storage=tmp_path, tracking_uri=uri, datasets={}))
    assert found.keys == {store.key(run, TRAIN)}
    assert found.needs == {FIRST.run_id()}
