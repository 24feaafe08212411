"""What ``fsar gc`` frees in fresh reruns of schedules, each of which is a storage of its own below the site's."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from fsar_core.kept_weights import finished_weights
from sweeps.engine import job as jobs
from sweeps.engine.drift import drift
from sweeps.engine.gc import Unreferenced, collect_garbage
from sweeps.engine.job import Job, carry_out
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.reruns import rerun_folder, reruns
from sweeps.engine.schedules_slots import slot_held
from sweeps.engine.site import Site
from tests.fsar_core import tiny
from tests.sweeps.made_drift import NAME, made_rerun, slot
from tests.sweeps.made_garbage import DAY, collected, in_storage, kinds, old, stored
from tests.sweeps.made_jobs import job_of, opened, silent
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import TRAIN, small_table, write_run


@pytest.fixture(autouse=True)
def made_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_opened", opened)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


@pytest.fixture
def rerun(site: Site, tmp_path: Path) -> Job:
    """Trained to its end in a slot's folder, beside the notes of Ray and a table that a killed writer left."""
    folder = rerun_folder(site, NAME, slot(0))
    job = in_storage(folder, job_of(tmp_path, tiny.run()))
    carry_out(job, silent)
    half = folder / "tables" / "strm" / "table2" / "made" / "table.csv.aside-3-0123abcd"
    for path, content in ((folder / "tune" / "trainable_2026-11-21_05-08-02" / "tuner.pkl", b"1234"), (half, b"a")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    old(half)
    return job


def test_they_are_freed_as_the_storage_is(rerun: Job, site: Site) -> None:
    checkpoints = RunFolder(rerun.folder).checkpoints
    weights, told = finished_weights(checkpoints), list[tuple[int, int]]()
    found = collect_garbage(site.storage, remove=True, tell=lambda done, of: told.append((done, of)))
    sizes = kinds(found)
    assert (sizes.keys(), sizes["Ray session"], sizes["left over"]) == (
        {"training state", "Ray session", "left over"},
        4,
        1,
    )
    assert [path.name for path in checkpoints.iterdir()] == ["selected"]
    kept = finished_weights(checkpoints)
    assert weights is not None
    assert kept is not None
    assert all(weights[name].equal(kept[name]) for name in weights)
    assert told == [(1, 1)]
    assert collected(site.storage).garbage == []


def test_one_that_is_at_work_is_left_alone(rerun: Job, site: Site) -> None:
    before = stored(site.storage)
    with slot_held(site, NAME, slot(0)) as got:
        assert got
        found = collected(site.storage)
    assert found.reruns_at_work == [rerun_folder(site, NAME, slot(0))]
    assert found.garbage == []
    assert {name: own for name, own in stored(site.storage).items() if not name.endswith("/lock")} == before


def test_runs_and_drivers_at_work_in_it_are_left_alone(rerun: Job, site: Site) -> None:
    folder = rerun_folder(site, NAME, slot(0))
    (folder / "locks").mkdir()
    with FileLock(rerun.folder / "run.lock"), FileLock(folder / "locks" / "strm-table2.lock"):
        found = collected(site.storage)
    assert found.at_work == [rerun.folder]
    assert found.driver
    assert set(kinds(found)) == {"left over"}
    assert (folder / "tune" / "trainable_2026-11-21_05-08-02").exists()


def test_no_table_names_their_runs_and_yet_they_stay(site: Site) -> None:
    (number,) = made_rerun(site, 0, [[0.5]]).numbers
    run, record = small_table().cells[0].run.with_seed(number.seed), Store(site.storage)
    write_run(record, run)
    old(site.storage)
    collected(site.storage, rule=Unreferenced((), (), DAY))
    assert record.key(run, TRAIN) == number.run
    assert not record.folder_of(number.run).path.exists()
    assert Store(rerun_folder(site, NAME, slot(0))).folder_of(number.run).has_record()


def test_drift_finds_in_them_what_it_found_before(site: Site) -> None:
    for number in range(2):
        made = made_rerun(site, number, [[0.45, 0.46], [0.55, 0.56], [0.6, 0.61]], seeds=(0, 1))
        state = Store(made.storage).folder_of(made.numbers[0].run).checkpoints / "step-00000006"
        state.mkdir(parents=True)
        (state / "best.safetensors").write_bytes(b"best")
        (state / "training.safetensors").write_bytes(b"all the rest")
    before = drift(reruns(site, NAME))
    assert kinds(collected(site.storage)) == {"training state": len(b"all the rest")}
    assert drift(reruns(site, NAME)) == before
    assert before.verdict == "fine"


def test_what_is_named_otherwise_than_a_slot_and_what_a_link_leads_to_stay(
    rerun: Job, site: Site, tmp_path: Path
) -> None:
    elsewhere, own = tmp_path / "elsewhere", site.storage / "reruns"
    (own / NAME).rename(elsewhere)
    for place in (own / NAME / "mine", own / "Mine" / slot(0)):
        shutil.copytree(elsewhere / slot(0), place)
    (own / NAME / slot(1)).symlink_to(elsewhere / slot(0))
    (own / "weekly").symlink_to(elsewhere)
    assert collected(site.storage).garbage == []
    (elsewhere / slot(0)).rename(own / NAME / slot(2))
    assert collected(site.storage).garbage != []
