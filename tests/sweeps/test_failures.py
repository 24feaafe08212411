"""What kind of failure an error is, and what is kept of it."""

import errno
import subprocess
from pathlib import Path

import pytest
import torch

from sweeps.engine import job as jobs
from sweeps.engine.failures import Failure, failure_of, failure_of_death, kind_of, not_started
from sweeps.engine.job import carry_out
from sweeps.engine.records import RunFolder
from tests.fsar_core import tiny
from tests.sweeps.made_jobs import PRINT, job_of, opened, silent
from tests.sweeps.made_records import ORIGIN


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=repr,
)
def test_no_memory_is_told_from_a_bug_on_whatever_device(error: Exception) -> None:
    assert kind_of(error) == "oom"
    assert kind_of(raised(ValueError("a batch is missing"), error)) == "oom"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("this message speaks of out of memory, but its class does not"),
        OSError(errno.ENOENT, "No such file or directory"),
        RuntimeError("the size of tensor a must match"),
        FloatingPointError("the loss is not finite"),
        subprocess.CalledProcessError(1, "git"),
    ],
    ids=repr,
)
def test_anything_else_that_is_raised_is_a_bug(error: Exception) -> None:
    assert kind_of(error) == "bug"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=repr,
)
def test_a_disk_that_takes_nothing_is_told_from_a_bug(error: Exception) -> None:
    assert kind_of(error) == "disk"
    assert kind_of(raised(ValueError("not saved"), error)) == "disk"


def test_memory_that_was_caught_and_hidden_is_not_blamed() -> None:
    error = KeyError("lam")
    error.__context__, error.__suppress_context__ = MemoryError(), True
    assert kind_of(error) == "bug"
    error.__suppress_context__ = False
    assert kind_of(error) == "oom"


def test_a_failure_has_the_traceback_without_passwords_and_its_last_line_as_reason() -> None:
    error = raised(ConnectionError("http://lab:secret@tracking:5000 refused\nsecond line"), KeyError("lam"))
    failure = failure_of(error, host="node-1", step=3)
    assert failure.reason() == "ConnectionError: http://***@tracking:5000 refused"
    assert "secret" not in failure.traceback
    assert "KeyError: 'lam'" in failure.traceback
    assert (failure.kind, failure.host, failure.step, failure.attempts) == ("bug", "node-1", 3, 1)


@pytest.mark.parametrize(
    ("told", "reason"),
    [("The actor died.\n\tpid: 3", "The actor died."), ("", "no reason given"), ("not started: x", "not started: x")],
)
def test_a_failure_that_python_did_not_raise_has_a_reason_too(told: str, reason: str) -> None:
    assert failure_of_death(told).reason() == reason


def test_old_files_with_a_traceback_alone_are_bugs(tmp_path: Path) -> None:
    (tmp_path / "failure.json").write_text('{"traceback": "Traceback: old"}')
    failure = RunFolder(tmp_path).failure()
    assert failure == Failure(kind="bug", traceback="Traceback: old")
    assert Failure(traceback="Traceback: old").host is None


def test_a_damaged_file_does_not_keep_a_new_failure_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "failure.json").write_text('{"traceb')
    with pytest.raises(ValueError, match="JSON"):
        RunFolder(tmp_path).failure()
    RunFolder(tmp_path).write_failure(not_started(["a"]))
    assert RunFolder(tmp_path).failure() == not_started(["a"]).model_copy(update={"time_ms": _time(tmp_path)})


def _time(folder: Path) -> int | None:
    failure = RunFolder(folder).failure()
    return None if failure is None else failure.time_ms


def test_a_needed_run_cannot_name_a_place_outside_the_store() -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        not_started(["../../etc"])


def test_attempts_count_the_same_way_of_failing_under_the_same_code() -> None:
    first = Failure(traceback="x", git_commit="a")
    assert first.after(None).attempts == 1
    assert first.after(first).attempts == 2
    assert first.after(first.after(first)).attempts == 3
    assert first.after(first.model_copy(update={"git_commit": "b"})).attempts == 1
    assert first.after(first.model_copy(update={"kind": "oom"})).attempts == 1
    assert not_started(["a"]).after(not_started(["a"])).attempts == 0


class TestOfAJob:
    @pytest.fixture(autouse=True)
    def made_clips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "_opened", opened)

    def test_an_error_in_training_is_kept_with_place_step_and_code(self, tmp_path: Path) -> None:
        job = job_of(tmp_path, tiny.run())

        def broken(step: int, points: object) -> None:
            if step == 4:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        for attempts in (1, 2):
            with pytest.raises(torch.OutOfMemoryError):
                carry_out(job, broken if attempts == 1 else _always)
            failure = RunFolder(job.folder).failure()
            assert failure is not None
            assert (failure.kind, failure.attempts, failure.git_commit) == ("oom", attempts, ORIGIN.git_commit)
            assert failure.step == (4 if attempts == 1 else 6)
            assert failure.host
            assert "CPU" in str(failure.device)
            assert failure.started_ms is not None
            assert failure.time_ms is not None
            assert failure.started_ms <= failure.time_ms
        carry_out(job, silent)
        assert RunFolder(job.folder).failure() is None

    def test_an_error_before_training_is_kept_as_well(self, tmp_path: Path) -> None:
        job = job_of(tmp_path, tiny.run(), fingerprint="0123456789abcdef")
        with pytest.raises(RuntimeError):
            carry_out(job, silent)
        failure = RunFolder(job.folder).failure()
        assert failure is not None
        assert failure.step == 0
        assert f"fingerprint {PRINT}, planned 0123456789abcdef" in failure.reason()


def _always(step: int, points: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.")
