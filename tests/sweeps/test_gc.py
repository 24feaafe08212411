"""What ``fsar gc`` frees, and what it leaves: runs go on, are measured further, and serve others as before."""

from pathlib import Path

import pytest
from filelock import FileLock

from fsar_core.checkpoint import latest_checkpoint
from fsar_core.config import EvalConfig
from fsar_core.kept_weights import finished_weights
from fsar_core.methods import sgtm
from sweeps.engine import job as jobs
from sweeps.engine.gc import Unreferenced
from sweeps.engine.job import Job, carry_out
from sweeps.engine.records import RunFolder, Store
from tests.fsar_core import tiny
from tests.sweeps.made_bundle import exported, imported
from tests.sweeps.made_folder import files
from tests.sweeps.made_garbage import DAY, collected, in_storage, kinds, old, stored
from tests.sweeps.made_jobs import PRINT, job_of, opened, silent
from tests.sweeps.made_plans import FIRST, needing
from tests.sweeps.made_records import TRAIN, fill, run_config, small_table, write_run


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.fixture(autouse=True)
def made_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_opened", opened)


def room(storage: Path) -> int:
    """Bytes, each file counted once however many names it has."""
    found = {(own := Path(name).stat()).st_ino: own.st_size for name in files(storage)}
    return sum(found.values())


@pytest.fixture
def trained(tmp_path: Path) -> Job:
    job = in_storage(tmp_path, job_of(tmp_path, tiny.run()))
    carry_out(job, silent)
    return job


@pytest.fixture
def killed(tmp_path: Path) -> Job:
    """At step 2 of 6."""

    def die(step: int, points: object) -> None:
        if step == 2:
            raise Killed

    job = in_storage(tmp_path, job_of(tmp_path, tiny.run()))
    with pytest.raises(Killed):
        carry_out(job, die)
    return job


class TestFinishedRuns:
    def test_by_default_nothing_is_removed(self, trained: Job, tmp_path: Path) -> None:
        before = stored(tmp_path)
        assert set(kinds(collected(tmp_path, remove=False))) == {"training state"}
        assert stored(tmp_path) == before

    def test_what_is_promised_is_what_the_disk_gets_back(self, trained: Job, tmp_path: Path) -> None:
        promised, before = kinds(collected(tmp_path, remove=False)), room(tmp_path)
        assert kinds(collected(tmp_path)) == promised
        assert before - room(tmp_path) == promised["training state"] > 0
        assert collected(tmp_path).garbage == []

    def test_the_weights_stay_bitwise_and_records_are_not_touched(self, trained: Job, tmp_path: Path) -> None:
        folder = RunFolder(trained.folder)
        weights = finished_weights(folder.checkpoints)
        before = {name: stamp for name, stamp in stored(tmp_path).items() if "/checkpoints/" not in name}
        collected(tmp_path)
        kept = finished_weights(folder.checkpoints)
        assert weights is not None
        assert kept is not None
        assert weights.keys() == kept.keys()
        assert all(weights[name].equal(kept[name]) for name in weights)
        assert {name: stamp for name, stamp in stored(tmp_path).items() if "/checkpoints/" not in name} == before

    def test_a_later_evaluation_gives_the_number_that_it_would_have_given(self, trained: Job, tmp_path: Path) -> None:
        later = EvalConfig(way=3, episodes=25, seed=5)
        first = trained.model_copy(update={"missing": (later,)})
        carry_out(first, silent)
        name, folder = later.eval_id(trained.run), RunFolder(trained.folder)
        expected = folder.outcomes(name, PRINT)
        folder.outcomes_path(name, PRINT).unlink()
        folder.outcomes_path(name, PRINT).with_suffix(".json").unlink()
        collected(tmp_path)
        carry_out(first, silent)
        assert (folder.outcomes(name, PRINT) == expected).all()

    def test_other_runs_still_get_the_weights_that_they_need(self, tmp_path: Path) -> None:
        run = sgtm.run(tiny.recipe(), tiny.METHODS["sgtm"])
        first = in_storage(tmp_path, job_of(tmp_path, run.needs[0].run)).model_copy(update={"missing": ()})
        carry_out(first, silent)
        assert kinds(collected(tmp_path))["training state"] > 0
        second = in_storage(tmp_path, job_of(tmp_path, run, losses__0__guide=first.folder))
        carry_out(second, silent)
        given, kept = (finished_weights(RunFolder(own.folder).checkpoints) for own in (first, second))
        assert given is not None
        assert kept is not None
        name = next(name for name in given if name.startswith("steps.scores."))
        assert kept[name.replace("steps.scores.", "losses.0.guide.")].equal(given[name])

    def test_a_run_whose_record_is_lost_is_trained_anew(self, trained: Job, tmp_path: Path) -> None:
        folder = RunFolder(trained.folder)
        before = folder.record()
        collected(tmp_path)
        (trained.folder / "run.json").unlink()
        carry_out(trained, silent)
        record = folder.record()
        assert before is not None
        assert record is not None
        assert [point.metrics for point in record.history] == [point.metrics for point in before.history]
        assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000006"]


class TestUnfinishedRuns:
    def test_they_keep_the_newest_checkpoint_and_go_on_from_it(self, killed: Job, tmp_path: Path) -> None:
        folder = RunFolder(killed.folder)
        newest = latest_checkpoint(folder.checkpoints)
        assert newest is not None
        older, half = folder.checkpoints / "step-00000001", folder.checkpoints / f".{'0a' * 16}"
        for place in (older, half):
            place.mkdir()
            (place / "weights.safetensors").write_bytes(b"x" * 1000)
        assert kinds(collected(tmp_path)) == {"old checkpoint": 1000, "left over": 1000}
        assert list(folder.checkpoints.iterdir()) == [newest]
        carry_out(killed, silent)
        record = folder.record()
        assert record is not None
        assert record.resumed_at == (2,)

    def test_a_run_at_work_is_left_alone(self, trained: Job, tmp_path: Path) -> None:
        before = stored(tmp_path)
        with FileLock(trained.folder / "run.lock"):
            found = collected(tmp_path)
        assert found.at_work == [trained.folder]
        assert found.garbage == []
        assert stored(tmp_path) == before


class TestLeftOvers:
    def test_files_that_killed_writers_left_go_when_they_are_old(self, trained: Job, tmp_path: Path) -> None:
        table = tmp_path / "tables" / "sgtm" / "table5" / "made"
        table.mkdir(parents=True)
        stale = [trained.folder / "evaluations" / "a.json.aside-12-0123abcd", table / "table.csv.aside-3-0123abcd"]
        for path in stale:
            path.write_bytes(b"half")
            old(path, days=1)
        fresh, own = table / "table.md.aside-4-0123abcd", table / "notes.aside-by-me"
        fresh.write_bytes(b"now")
        own.write_bytes(b"mine")
        old(own)
        assert kinds(collected(tmp_path))["left over"] == 4
        assert [path.exists() for path in (*stale, fresh, own)] == [False, False, True, True]

    def test_sessions_of_ray_go_unless_a_sweep_runs(self, tmp_path: Path) -> None:
        session = tmp_path / "tune" / "trainable_2026-11-21_05-08-02"
        own = tmp_path / "tune" / "trainable_of_mine"
        for folder in (session, own):
            folder.mkdir(parents=True)
            (folder / "tuner.pkl").write_bytes(b"1234")
        (tmp_path / "locks").mkdir()
        with FileLock(tmp_path / "locks" / "sgtm-table5.lock"):
            found = collected(tmp_path)
        assert found.driver
        assert session.exists()
        assert kinds(collected(tmp_path)) == {"Ray session": 4}
        assert not session.exists()
        assert own.exists()

    def test_what_this_program_has_not_made_stays(self, trained: Job, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        strange = [
            tmp_path / "runs" / "my-notes" / "checkpoints" / "step-00000001" / "a",
            trained.folder / "checkpoints" / "mine" / "a",
            trained.folder / "notes.txt",
            elsewhere / "a",
        ]
        for path in strange:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
            old(path)
        (tmp_path / "runs" / f"{'0' * 16}-{'1' * 16}").symlink_to(elsewhere)
        (tmp_path / "tune").mkdir()
        (tmp_path / "tune" / "trainable_2026-11-21_05-08-02").symlink_to(elsewhere)
        collected(tmp_path, rule=Unreferenced((trained.folder.name,), (), 0))
        assert all(path.read_text() == "mine" for path in strange)


class TestUnreferenced:
    RULE = Unreferenced((), (), 30 * DAY)

    def keys(self, store: Store) -> set[str]:
        return {path.name for path in (store.root / "runs").iterdir()}

    def test_old_runs_that_nothing_names_go_with_their_results(self, store: Store) -> None:
        write_run(store, run_config(0.1))
        repeated = Store(store.root, 2)
        write_run(repeated, run_config(0.1))
        old(store.root)
        named = store.key(run_config(0.1), TRAIN)
        rule = Unreferenced((named,), (), 30 * DAY)
        found = collected(store.root, remove=False, rule=rule)
        assert [garbage.path.name for garbage in found.garbage] == [f"{named}-r2"]
        assert len(self.keys(store)) == 2
        old(store.root)
        collected(store.root, rule=rule)
        assert self.keys(store) == {named}

    def test_what_a_run_that_stays_needs_stays_too(self, store: Store) -> None:
        run = needing(run_config(0.1), FIRST)
        for own in (run, FIRST, run_config(0.5), run_config(0.6)):
            write_run(store, own)
        old(store.root)
        rule = Unreferenced((store.key(run, TRAIN),), (run_config(0.5).run_id(),), 30 * DAY)
        collected(store.root, rule=rule)
        assert self.keys(store) == {store.key(own, TRAIN) for own in (run, FIRST, run_config(0.5))}

    def test_young_and_imported_ones_stay(self, store: Store, tmp_path: Path) -> None:
        fill(store, small_table(), seeds=(0,))
        exported(store, tmp_path / "a.zip")
        other = Store(tmp_path / "other")
        imported(tmp_path / "a.zip", other.root)
        write_run(other, run_config(0.9))
        assert collected(other.root, rule=self.RULE).garbage == []
        old(other.root)
        collected(other.root, rule=self.RULE)
        assert self.keys(other) == self.keys(store)

    def test_a_removal_that_was_killed_is_finished_by_the_next(self, store: Store) -> None:
        half = store.root / "runs" / f".{store.key(run_config(), TRAIN)}.removed"
        half.mkdir(parents=True)
        (half / "run.json").write_text("12")
        assert kinds(collected(store.root)) == {"left over": 2}
        assert not half.exists()
