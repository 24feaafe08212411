"""A table goes from one storage to another: the same numbers there, with a mark, and nothing told of the machine."""

import getpass
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file

from fsar_core.kept_weights import finished_weights
from sweeps.engine.bundle import Manifest
from sweeps.engine.failures import Failure
from sweeps.engine.import_words import imported_from, imported_line
from sweeps.engine.plan import asked, make_plan
from sweeps.engine.protocol import protocol
from sweeps.engine.records import Store
from sweeps.engine.site import BadRequest
from tests.sweeps.made_bundle import SEEDS, TABLE, a_run, content, exported, imported, results
from tests.sweeps.made_folder import files
from tests.sweeps.made_plans import FIRST, made_table, needing, write_checkpoint
from tests.sweeps.made_records import PRINTS, TRAIN, cell, fill, run_config, train_record, write_evaluation, write_run

NAME = f"{TABLE.name}/motionshapes-laptop"


@pytest.fixture
def filled(store: Store) -> Store:
    fill(store, TABLE)
    return store


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other")


def with_weights(store: Store) -> dict[str, torch.Tensor]:
    """The first run keeps its last checkpoint."""
    checkpoint = a_run(store).checkpoints / "step-00000600"
    checkpoint.mkdir(parents=True)
    weights = {"backbone.w": torch.arange(6.0)}
    for name in ("best", "weights", "optimizer"):
        save_file(weights, checkpoint / f"{name}.safetensors")
    return weights


class TestExport:
    def test_equal_records_give_equal_bytes(self, filled: Store, tmp_path: Path) -> None:
        exported(filled, tmp_path / "a.zip")
        exported(filled, tmp_path / "b.zip")
        assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()

    def test_it_counts_what_is_in_it_and_what_is_not(self, store: Store, tmp_path: Path) -> None:
        fill(store, TABLE, seeds=(0,))
        done = exported(store, tmp_path / "a.zip", weights=True)
        assert (done.tables, done.runs, done.evaluations, done.weights) == (1, 3, 3, 0)
        assert done.unfinished == 3
        assert len(done.without_weights) == 3
        assert done.size == (tmp_path / "a.zip").stat().st_size

    def test_the_manifest_names_every_number_and_what_made_it(self, filled: Store, tmp_path: Path) -> None:
        exported(filled, tmp_path / "a.zip")
        found = content(tmp_path / "a.zip")
        manifest = Manifest.model_validate_json(found["manifest.json"])
        assert set(manifest.files) == set(found) - {"manifest.json"}
        assert manifest.git_commits == ("0123456789abcdef",)
        assert manifest.versions == {"torch": ("2.15.0",)}
        table = manifest.tables[NAME]
        assert [own.row for own in table.cells] == ["otam", "bimhm", "protonet"]
        for own in table.cells:
            assert set(own.numbers) == {"0", "1"}
            for key, evaluation in own.numbers.values():
                assert f"runs/{key}/evaluations/{evaluation}.json" in found
                assert evaluation in manifest.runs[key].evaluations

    def test_nothing_tells_of_the_machine(self, filled: Store, tmp_path: Path) -> None:
        a_run(filled).write_failure(Failure(traceback="a failure below /home", host="node-1"))
        exported(filled, tmp_path / "a.zip", weights=True)
        everything = b"\n".join([*content(tmp_path / "a.zip").values(), *map(str.encode, content(tmp_path / "a.zip"))])
        for private in (b"node-1", str(tmp_path).encode(), str(Path.home()).encode() + b"/", b"failure"):
            assert private not in everything
        assert f"/{getpass.getuser()}/".encode() not in everything

    def test_training_state_never_leaves(self, filled: Store, tmp_path: Path) -> None:
        with_weights(filled)
        assert exported(filled, tmp_path / "a.zip", weights=True).weights == 1
        names = [name for name in content(tmp_path / "a.zip") if name.endswith(".safetensors")]
        assert names == [f"runs/{a_run(filled).path.name}/weights.safetensors"]
        exported(filled, tmp_path / "b.zip")
        assert not [name for name in content(tmp_path / "b.zip") if name.endswith(".safetensors")]

    def test_all_that_is_wrong_with_a_request_comes_together(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(BadRequest) as refusal:
            exported(store, tmp_path / "missing" / "a.tar")
        assert len(refusal.value.faults) == 3
        taken = tmp_path / "a.zip"
        taken.write_bytes(b"mine")
        fill(store, TABLE)
        with pytest.raises(BadRequest, match="must be a new file"):
            exported(store, taken)
        assert taken.read_bytes() == b"mine"


class TestImport:
    def test_the_other_storage_shows_the_same_numbers(self, filled: Store, other: Store, tmp_path: Path) -> None:
        exported(filled, tmp_path / "a.zip")
        done = imported(tmp_path / "a.zip", other.root)
        assert (done.runs, done.evaluations, done.known, done.conflicts) == (6, 6, 0, [])
        ours, theirs = results(filled)[NAME], results(other)[NAME]
        for own, their in zip(ours.cells, theirs.cells, strict=True):
            assert (own.state, own.accuracy, own.ci95, own.seed_sd) == (
                "done",
                their.accuracy,
                their.ci95,
                their.seed_sd,
            )
            assert ours.difference(own) == theirs.difference(their)
        assert make_plan(asked(TABLE.cells, SEEDS), other, PRINTS).complete()

    def test_records_say_where_they_come_from_also_after_a_second_journey(
        self, filled: Store, other: Store, tmp_path: Path
    ) -> None:
        exported(filled, tmp_path / "a.zip")
        assert imported_line(results(filled)[NAME]) is None
        mark = imported(tmp_path / "a.zip", other.root).mark
        assert mark.startswith("a.zip, SHA-256 ")
        line = f"Imported numbers, not made on this storage: 6 of 6 with {mark}."
        assert imported_line(results(other)[NAME]) == line
        exported(other, tmp_path / "b.zip")
        third = Store(tmp_path / "third")
        imported(tmp_path / "b.zip", third.root)
        seed = results(third)[NAME].cells[0].seeds[0]
        assert str(imported_from(seed)).startswith("b.zip, SHA-256 ")
        assert str(imported_from(seed)).endswith(f", and before with {mark}")

    def test_a_number_measured_here_on_imported_weights_says_so(
        self, filled: Store, other: Store, tmp_path: Path
    ) -> None:
        exported(filled, tmp_path / "a.zip")
        imported(tmp_path / "a.zip", other.root)
        own = TABLE.cells[0]
        write_evaluation(other, own.run, own.evaluation, 0.5)
        assert str(imported_from(results(other)[NAME].cells[0].seeds[0])).endswith("(the weights; measured here)")

    def test_a_second_import_changes_nothing(self, filled: Store, other: Store, tmp_path: Path) -> None:
        exported(filled, tmp_path / "a.zip")
        imported(tmp_path / "a.zip", other.root)
        before = {name: stamp for name, stamp in files(other.root).items() if not name.endswith(".lock")}
        done = imported(tmp_path / "a.zip", other.root)
        assert (done.runs, done.evaluations, done.known, done.conflicts) == (0, 0, 12, [])
        after = {name: stamp for name, stamp in files(other.root).items() if not name.endswith(".lock")}
        assert after == before

    def test_what_is_missing_is_added_to_what_is_there(self, filled: Store, other: Store, tmp_path: Path) -> None:
        fill(other, TABLE, seeds=(0,))
        exported(filled, tmp_path / "a.zip")
        done = imported(tmp_path / "a.zip", other.root)
        assert (done.runs, done.evaluations, done.known, done.conflicts) == (3, 3, 6, [])
        assert imported_from(results(other)[NAME].cells[0].seeds[0]) is None

    def test_a_dry_run_counts_the_same_and_writes_nothing(self, filled: Store, other: Store, tmp_path: Path) -> None:
        with_weights(filled)
        exported(filled, tmp_path / "a.zip", weights=True)
        done = imported(tmp_path / "a.zip", other.root, dry_run=True)
        assert (done.runs, done.evaluations, done.weights) == (6, 6, 1)
        assert not other.root.exists()

    def test_weights_come_along_for_later_evaluations(self, filled: Store, other: Store, tmp_path: Path) -> None:
        weights = with_weights(filled)
        exported(filled, tmp_path / "a.zip", weights=True)
        assert imported(tmp_path / "a.zip", other.root).weights == 1
        found = finished_weights(a_run(other).checkpoints)
        assert found is not None
        assert torch.equal(found["backbone.w"], weights["backbone.w"])
        assert finished_weights(results(other)[NAME].cells[1].seeds[0].folder.checkpoints) is None

    def test_weights_can_follow_the_numbers(self, filled: Store, other: Store, tmp_path: Path) -> None:
        exported(filled, tmp_path / "a.zip")
        imported(tmp_path / "a.zip", other.root)
        with_weights(filled)
        exported(filled, tmp_path / "b.zip", weights=True)
        done = imported(tmp_path / "b.zip", other.root)
        assert (done.runs, done.evaluations, done.weights, done.known) == (0, 0, 1, 12)

    def test_what_a_run_needed_first_goes_along(self, store: Store, other: Store, tmp_path: Path) -> None:
        own = cell("guided", 1, 0.1).model_copy(update={"run": needing(run_config(0.1), FIRST)})
        table = made_table(own)
        fill(store, table)
        write_run(store, FIRST)
        assert exported(store, tmp_path / "a.zip", table=table).runs == 3
        imported(tmp_path / "a.zip", other.root)
        assert make_plan(asked(table.cells, SEEDS), other, PRINTS).complete()


class TestConflicts:
    def test_another_training_is_not_mixed_with_the_numbers_of_the_bundle(
        self, filled: Store, other: Store, tmp_path: Path
    ) -> None:
        run = TABLE.cells[0].run
        other.folder(run, TRAIN).write_record(train_record(run).model_copy(update={"val_accuracy": 0.3}))
        exported(filled, tmp_path / "a.zip")
        done = imported(tmp_path / "a.zip", other.root)
        (conflict,) = done.conflicts
        assert "30.00 % on val" in conflict
        assert "45.00 % on val" in conflict
        assert (done.runs, done.evaluations) == (5, 5)
        assert not (a_run(other).path / "evaluations").exists()

    def test_other_outcomes_stay_as_they_are_here(self, filled: Store, other: Store, tmp_path: Path) -> None:
        own = TABLE.cells[0]
        write_run(other, own.run)
        record = write_evaluation(other, own.run, own.evaluation, 0.9)
        exported(filled, tmp_path / "a.zip")
        done = imported(tmp_path / "a.zip", other.root)
        (conflict,) = done.conflicts
        assert f"({100 * record.accuracy:.2f} %, in the bundle" in conflict
        kept = results(other)[NAME].cells[0].seeds[0].record
        assert kept is not None
        assert kept.accuracy == record.accuracy

    def test_a_begun_training_is_not_declared_finished(self, filled: Store, other: Store, tmp_path: Path) -> None:
        write_checkpoint(a_run(other), 300)
        exported(filled, tmp_path / "a.zip")
        (conflict,) = imported(tmp_path / "a.zip", other.root).conflicts
        assert "its training is begun here" in conflict
        assert a_run(other).record() is None

    def test_a_run_at_work_is_left_for_later(self, filled: Store, other: Store, tmp_path: Path) -> None:
        exported(filled, tmp_path / "a.zip")
        a_run(other).path.mkdir(parents=True)
        with FileLock(a_run(other).path / "run.lock"):
            (conflict,) = imported(tmp_path / "a.zip", other.root).conflicts
        assert "it is at work here at this moment" in conflict
        assert imported(tmp_path / "a.zip", other.root).runs == 1

    def test_the_same_training_at_another_time_is_the_same(self, filled: Store, other: Store, tmp_path: Path) -> None:
        run = TABLE.cells[0].run
        later = {"started_ms": 5, "ended_ms": 9, "train_seconds": 1.0, "resumed_at": (200,)}
        other.folder(run, TRAIN).write_record(train_record(run).model_copy(update=later))
        exported(filled, tmp_path / "a.zip")
        done = imported(tmp_path / "a.zip", other.root)
        assert (done.conflicts, done.known) == ([], 1)


def test_a_record_without_a_mark_is_written_as_before(filled: Store) -> None:
    """So that nothing that is known in MLflow looks new."""
    record = a_run(filled).record()
    assert record is not None
    assert "imported" not in json.loads(record.model_dump_json())["origin"]
    assert not [line for line in protocol(results(filled)[NAME]) if line.startswith("Imported")]
    assert np.isfinite(record.val_accuracy)
