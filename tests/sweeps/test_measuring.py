"""Measurements that come later, on other data, on short clips, without parts: what they read, and what they record."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fsar_core.config import EvalConfig
from fsar_core.data.clip_source import ClipSource
from sweeps.engine import job as jobs
from sweeps.engine.job import Job, carry_out
from sweeps.engine.records import EvaluationRecord, RunFolder
from tests.fsar_core import tiny
from tests.sweeps.made_jobs import EVALUATIONS, PRINT, job_of, opened, silent
from tests.sweeps.made_records import OTHER


@pytest.fixture(autouse=True)
def made_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_opened", opened)


@pytest.fixture
def whole(tmp_path: Path) -> Job:
    """Trained and measured."""
    job = job_of(tmp_path / "whole", tiny.run())
    carry_out(job, silent)
    return job


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The data sets and splits of which test clips were read."""
    seen: list[str] = []
    original = ClipSource.test_videos

    def noted(source: ClipSource, *args: Any, **kwargs: Any) -> torch.Tensor:
        seen.append(f"{source.config.dataset} {source.split} {source.config.test_sampling}")
        return original(source, *args, **kwargs)

    monkeypatch.setattr(ClipSource, "test_videos", noted)
    return seen


def asked_more(whole: Job, *evaluations: EvalConfig) -> list[EvaluationRecord]:
    """What a later launch records."""
    carry_out(whole.model_copy(update={"missing": (*whole.missing, *evaluations)}), silent)
    prints = [OTHER if own.dataset else PRINT for own in evaluations]
    records = [
        RunFolder(whole.folder).evaluation(own.eval_id(whole.run), fingerprint)
        for own, fingerprint in zip(evaluations, prints, strict=True)
    ]
    return [record for record in records if record is not None]


def test_evaluations_that_come_later_read_no_clip(whole: Job, read: list[str]) -> None:
    short = EvalConfig(way=3, episodes=20, max_seconds=0.9)
    one_head = whole.run.method.model_copy(update={"losses": ()})
    records = asked_more(
        whole, EvalConfig(way=4, shot=3, episodes=20), short, EvalConfig(way=3, episodes=30, method=one_head)
    )
    assert read == []
    assert [(record.clips, record.too_small) for record in records] == [(48, {}), (24, {}), (48, {})]
    first = RunFolder(whole.folder).evaluation(EVALUATIONS[0].eval_id(whole.run), PRINT)
    assert first is not None
    assert records[2].accuracy == first.accuracy  # losses are no part of a test


def test_other_frames_and_other_data_are_read_once(whole: Job, read: list[str]) -> None:
    records = asked_more(
        whole,
        EvalConfig(way=3, episodes=20, frame_sampling="linspace"),
        EvalConfig(way=3, episodes=20, dataset="other"),
        EvalConfig(way=4, episodes=20, dataset="other"),
        EvalConfig(way=5, episodes=20, frame_sampling="linspace"),
    )
    assert sorted(set(read)) == ["made test linspace", "other test segment-centre"]
    parts = -(-48 // 32)
    assert len(read) == 2 * parts
    assert [record.fingerprint for record in records] == [PRINT, OTHER, OTHER, PRINT]


def test_val_is_measured_beside_test_each_from_its_own_clips(whole: Job, read: list[str]) -> None:
    on_val = EvalConfig(way=3, episodes=30, split="val")
    records = asked_more(whole, on_val, on_val.model_copy(update={"way": 2}), EvalConfig(way=2, episodes=30))
    assert set(read) == {"made val segment-centre"}
    assert [(record.evaluation.split, record.clips, sorted(record.per_class)[0]) for record in records] == [
        ("val", 40, "val0"),
        ("val", 40, "val0"),
        ("test", 48, "test0"),
    ]
    first = RunFolder(whole.folder).evaluation(EVALUATIONS[0].eval_id(whole.run), PRINT)
    assert first is not None
    assert first.evaluation == on_val.model_copy(update={"split": "test"})
    assert first.per_class.keys().isdisjoint(records[0].per_class)


def test_a_site_without_room_for_features_measures_the_same(whole: Job, tmp_path: Path) -> None:
    job = job_of(tmp_path / "none", tiny.run())
    carry_out(job.model_copy(update={"site": job.site.model_copy(update={"features_gib": 0.0})}), silent)
    assert list((tmp_path / "whole" / "features").iterdir())
    assert not (tmp_path / "none" / "features").exists()
    for evaluation in EVALUATIONS:
        name = evaluation.eval_id(job.run)
        assert (RunFolder(job.folder).outcomes(name, PRINT) == RunFolder(whole.folder).outcomes(name, PRINT)).all()


def test_a_measurement_has_the_precision_of_the_training_wherever_it_is_made(tmp_path: Path) -> None:
    job = job_of(tmp_path, tiny.run())
    half = job.model_copy(
        update={"site": job.site.model_copy(update={"precision": "bf16"}), "missing": EVALUATIONS[:1]}
    )
    carry_out(half, silent)
    carry_out(job, silent)
    record = RunFolder(job.folder).record()
    assert record is not None
    assert record.environment.precision == "bf16"
    records = [RunFolder(job.folder).evaluation(own.eval_id(job.run), PRINT) for own in EVALUATIONS]
    assert [own and own.precision for own in records] == ["bf16", "bf16"]
