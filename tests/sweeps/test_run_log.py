"""The log of a run: what stands there, over restarts, and that it stays small."""

import logging
import re
import warnings
from pathlib import Path

import pytest

from sweeps.engine import job as jobs
from sweeps.engine import run_log
from sweeps.engine.job import carry_out
from sweeps.engine.run_log import LOG, last_lines, logged
from tests.fsar_core import tiny
from tests.sweeps.made_jobs import EVALUATIONS, job_of, opened, silent

OURS = logging.getLogger("sweeps.engine.made")


def told(folder: Path) -> list[str]:
    return [line.split(maxsplit=3)[3] for line in (folder / LOG).read_text().splitlines() if line[0].isdigit()]


def test_a_run_says_what_it_did_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_opened", opened)
    job = job_of(tmp_path, tiny.run())

    def broken(step: int, points: object) -> None:
        if step == 4:
            raise ValueError("no such clip")

    with pytest.raises(ValueError, match="no such clip"):
        carry_out(job, broken)
    carry_out(job, silent)
    lines = told(job.folder)
    kinds = [re.split(r"[\s:]", line)[0] for line in lines]
    first = ["started", "begins", "step", "checkpoint", "step", "checkpoint", "failed"]
    second = ["started", "goes", "step", "checkpoint", "trained", "measured", "measured"]
    assert kinds == first + second
    assert re.fullmatch(r"started on \S+, .+ CPU, \d+ cores, process \d+, code 0123456789abcdef", lines[0])
    assert lines[1] == "begins at step 0 of 6"
    assert "val/accuracy" in lines[2]
    assert lines[6] == "failed (bug) after step 4: ValueError: no such clip"
    assert lines[8] == "goes on at step 4 of 6"
    assert EVALUATIONS[0].eval_id(job.run) in lines[-2]
    assert re.search(r"measured 3-way 1-shot on test of made: [\d.]+ ± [\d.]+ %, 30 episodes in [\d.]+ s", lines[-2])


def test_warnings_of_everyone_are_kept_but_chatter_of_others_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = logging.getLogger("decord")
    monkeypatch.setattr(other, "level", logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with logged(tmp_path):
            OURS.info("ours")
            other.info("chatter")
            other.warning("a clip is short")
            warnings.warn("an old option", UserWarning, stacklevel=1)
    lines = told(tmp_path)
    assert lines[:2] == ["ours", "a clip is short"]
    assert "UserWarning: an old option" in lines[2]
    assert not any("chatter" in line for line in lines)


def test_nothing_is_written_where_nothing_happens_or_after_the_end(tmp_path: Path) -> None:
    level, handlers = logging.getLogger("sweeps").level, list(logging.getLogger().handlers)
    with logged(tmp_path):
        assert not (tmp_path / LOG).exists()
    OURS.warning("later")
    assert list(tmp_path.iterdir()) == []
    assert (logging.getLogger("sweeps").level, logging.getLogger().handlers) == (level, handlers)


def test_passwords_in_addresses_are_hidden(tmp_path: Path) -> None:
    with logged(tmp_path):
        OURS.info("http://lab:secret@tracking:5000 is away")
    assert told(tmp_path) == ["http://***@tracking:5000 is away"]


def test_a_long_log_keeps_its_end_and_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "_BYTES", 2000)
    for _ in range(2):
        with logged(tmp_path):
            for i in range(100):
                OURS.info("line %d", i)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG, f"{LOG}.1"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4000
    lines = last_lines(tmp_path, 60)
    assert [line.split()[-1] for line in lines] == [str(i) for i in range(40, 100)]


def test_the_end_of_a_big_file_starts_with_a_whole_line(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("".join(f"line {i:06d}\n" for i in range(3000)))
    lines = last_lines(tmp_path, 2000)
    assert lines[-1] == "line 002999"
    assert all(len(line) == 11 for line in lines)
    assert last_lines(tmp_path / "nowhere", 5) == []
