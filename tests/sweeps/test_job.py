"""A worker's job on a tiny run with made-up clips: done once, taken up again, refused where it is wrong."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fsar_core.checkpoint import latest_checkpoint, selected_weights
from fsar_core.config import Training
from fsar_core.methods import sgtm
from fsar_core.train import Progress, Report, TrainState, train
from sweeps.engine import job as jobs
from sweeps.engine.failures import Failure
from sweeps.engine.job import Job, carry_out
from sweeps.engine.records import Point, RunFolder
from tests.fsar_core import tiny
from tests.sweeps.made_jobs import EVALUATIONS, PRINT, job_of, opened, silent
from tests.sweeps.made_records import ORIGIN


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.fixture(autouse=True)
def made_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_opened", opened)


def weights(job: Job) -> dict[str, torch.Tensor]:
    checkpoint = latest_checkpoint(RunFolder(job.folder).checkpoints)
    assert checkpoint is not None
    return selected_weights(checkpoint)


def listing(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def whole(tmp_path: Path) -> Job:
    """Carried out without a disturbance."""
    job = job_of(tmp_path / "whole", tiny.run())
    carry_out(job, silent)
    return job


def test_a_job_leaves_a_record_with_its_history(whole: Job) -> None:
    record = RunFolder(whole.folder).record()
    assert record is not None
    assert (record.run, record.fingerprint) == (whole.run, PRINT)
    assert [point.step for point in record.history] == [1, 2, 4, 6]
    looks = {point.step: point.metrics["val/accuracy"] for point in record.history if point.step > 1}
    assert record.val_accuracy == max(looks.values()) == looks[record.best_step]
    assert all(0 <= accuracy <= 1 for accuracy in looks.values())
    assert "train/lr" in record.history[0].metrics
    assert record.started_ms <= record.history[0].time_ms <= record.ended_ms
    assert record.train_seconds > 0
    assert record.resumed_at == ()
    assert record.origin == ORIGIN


def test_a_record_names_the_threads_of_its_training(tmp_path: Path) -> None:
    """On a CPU they decide the last digits."""
    job = job_of(tmp_path, tiny.run())
    before = torch.get_num_threads()
    try:
        carry_out(job.model_copy(update={"site": job.site.model_copy(update={"cpus_per_run": 2.0})}), silent)
    finally:
        torch.set_num_threads(before)
    record = RunFolder(job.folder).record()
    assert record is not None
    assert record.environment.threads == 2


def test_a_job_leaves_every_evaluation_with_its_outcomes(whole: Job) -> None:
    folder = RunFolder(whole.folder)
    for evaluation in EVALUATIONS:
        name = evaluation.eval_id(whole.run)
        record = folder.evaluation(name, PRINT)
        assert record is not None
        assert record.evaluation == evaluation
        outcomes = folder.outcomes(name, PRINT)
        assert len(outcomes) == evaluation.episodes
        assert record.accuracy == pytest.approx(outcomes.mean() / evaluation.way)


def test_every_point_is_told_once_and_in_order(tmp_path: Path) -> None:
    told: list[Point] = []
    carry_out(job_of(tmp_path, tiny.run()), lambda _, points: told.extend(points))
    assert [point.step for point in told] == [1, 2, 4, 6]


def test_a_second_call_does_nothing(whole: Job) -> None:
    before = listing(whole.folder)
    carry_out(whole, lambda step, points: pytest.fail("it trains again"))
    assert listing(whole.folder) == before


def test_only_the_evaluations_that_are_missing_are_measured(whole: Job) -> None:
    gone = RunFolder(whole.folder).path / "evaluations" / f"{EVALUATIONS[1].eval_id(whole.run)}-{PRINT}.json"
    before = listing(whole.folder)
    text = gone.read_text()
    gone.unlink()
    carry_out(whole, silent)
    changed = {path for path, time in listing(whole.folder).items() if before[path] != time}
    assert changed == {gone, gone.with_suffix(".parquet"), whole.folder / "log.txt"}
    assert '"accuracy"' in text
    assert _without_times(gone.read_text()) == _without_times(text)


@pytest.mark.parametrize("moment", [2, 4])
def test_a_killed_job_goes_on_from_its_checkpoint_to_the_same_weights(tmp_path: Path, whole: Job, moment: int) -> None:
    def killed(step: int, points: list[Point]) -> None:
        if step == moment:
            raise Killed

    job = job_of(tmp_path / "killed", tiny.run())
    with pytest.raises(Killed):
        carry_out(job, killed)
    assert RunFolder(job.folder).record() is None
    told: list[Point] = []
    carry_out(job, lambda _, points: told.extend(points))
    record, undisturbed = RunFolder(job.folder).record(), RunFolder(whole.folder).record()
    assert record is not None
    assert undisturbed is not None
    assert record.resumed_at == (moment,)
    assert [(p.step, p.metrics) for p in record.history] == [(p.step, p.metrics) for p in undisturbed.history]
    assert [point.step for point in told] == [1, 2, 4, 6]
    assert record.best_step == undisturbed.best_step
    own, theirs = weights(job), weights(whole)
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)


@pytest.mark.parametrize(("step_s", "every"), [(0.15, 5), (0.3, 2), (0.4, 2), (0.6, 1), (2.5, 1)])
def test_between_checkpoints_is_no_more_work_than_the_site_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float, every: int
) -> None:
    """With room for a step that takes twice as long as the others; of steps longer than that, one."""
    steps, allowed = 12, 1.0
    now, saved = 0.0, [0]

    def slow_train(state: TrainState, clips: Any, selecting: Any, execution: Any, report: Report) -> None:
        def stepped(progress: Progress, state: TrainState) -> None:
            nonlocal now
            now += step_s
            report(progress, state)

        train(state, clips, selecting, execution, stepped)

    def save(state: TrainState, root: Path, caller: object) -> None:
        saved.append(state.step)

    monkeypatch.setattr(jobs, "train", slow_train)
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(TrainState, "save", save)
    run = tiny.run()
    job = job_of(tmp_path, run.model_copy(update={"training": Training(steps=steps, val_every=steps)}))
    site = job.site.model_copy(update={"checkpoint_seconds": allowed})
    with pytest.raises(RuntimeError, match="no checkpoint any more"):
        carry_out(job.model_copy(update={"site": site}), silent)
    assert saved == [*range(0, steps, every), steps]


def test_a_job_killed_between_training_and_measuring_does_not_train_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tmp_path, tiny.run())

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "measure", killed)
        with pytest.raises(Killed):
            carry_out(job, silent)
    record = (job.folder / "run.json").stat().st_mtime_ns
    carry_out(job, lambda step, points: pytest.fail("it trains again"))
    assert (job.folder / "run.json").stat().st_mtime_ns == record
    assert len(list((job.folder / "evaluations").glob("*.json"))) == 2


def test_two_sweeps_that_share_a_run_train_it_once(tmp_path: Path) -> None:
    job = job_of(tmp_path, tiny.run())
    begun, go_on = threading.Event(), threading.Event()
    told: list[int] = []

    def first(step: int, points: list[Point]) -> None:
        begun.set()
        assert go_on.wait(60)

    def second(step: int, points: list[Point]) -> None:
        told.append(step)

    threads = [threading.Thread(target=carry_out, args=(job, tell)) for tell in (first, second)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    threads[1].join(0.5)
    assert threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(60)
    record = RunFolder(job.folder).record()
    assert record is not None
    assert (told, record.resumed_at) == ([], ())


def test_a_success_clears_an_earlier_failure(tmp_path: Path) -> None:
    job = job_of(tmp_path, tiny.run())
    RunFolder(job.folder).write_failure(Failure(traceback="Traceback"))
    carry_out(job, silent)
    assert RunFolder(job.folder).failure() is None


def test_weights_that_are_needed_are_those_of_the_other_run(tmp_path: Path) -> None:
    run = sgtm.run(tiny.recipe(), tiny.METHODS["sgtm"])
    first = job_of(tmp_path, run.needs[0].run).model_copy(update={"missing": ()})
    carry_out(first, silent)
    second = job_of(tmp_path, run, losses__0__guide=first.folder)
    carry_out(second, silent)
    given = {k.removeprefix("steps.scores."): v for k, v in weights(first).items() if k.startswith("steps.scores.")}
    kept = weights(second)
    assert given
    assert all(torch.equal(kept[f"losses.0.guide.{name}"], tensor) for name, tensor in given.items())


def test_other_videos_on_the_node_are_refused_with_both_fingerprints(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=f"fingerprint {PRINT}, planned 0123456789abcdef; give every node the same"):
        carry_out(job_of(tmp_path, tiny.run(), fingerprint="0123456789abcdef"), silent)
    assert not (tmp_path / tiny.run().run_id() / "run.json").exists()


def test_a_need_without_its_checkpoint_says_what_to_remove(tmp_path: Path) -> None:
    run = sgtm.run(tiny.recipe(), tiny.METHODS["sgtm"])
    gone = tmp_path / "gone"
    with pytest.raises(RuntimeError, match=rf"no checkpoint any more.*remove {gone} to train it again"):
        carry_out(job_of(tmp_path, run, losses__0__guide=gone), silent)


def test_a_gpu_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    job = job_of(tmp_path, tiny.run())
    job = job.model_copy(update={"site": job.site.model_copy(update={"gpus_per_run": 0.5})})
    with pytest.raises(RuntimeError, match=r"gives 0\.5 GPU to a run, but torch sees none"):
        carry_out(job, silent)


def test_a_job_survives_its_way_to_the_worker(tmp_path: Path) -> None:
    job = job_of(tmp_path, sgtm.run(tiny.recipe(), tiny.METHODS["sgtm"]), losses__0__guide=tmp_path)
    assert Job.model_validate_json(job.model_dump_json()) == job


def _without_times(text: str) -> list[str]:
    return [line for line in text.splitlines() if '"seconds"' not in line and '"ended_ms"' not in line]
