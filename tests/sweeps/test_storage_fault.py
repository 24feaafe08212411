"""A storage that takes nothing: nothing more is launched, and why is said. Real disks: e2e/test_storage_faults.py."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from ray.tune.search import Searcher
from rich.console import Console
from typer import Exit

from sweeps.engine import launch, plan_searcher
from sweeps.engine import storage_fault as storage_faults
from sweeps.engine.cli import REFUSED, ended
from sweeps.engine.failures import StorageLostError
from sweeps.engine.launch import run_plan
from sweeps.engine.plan import make_plan
from sweeps.engine.plan_searcher import PlanSearcher
from sweeps.engine.records import Store
from sweeps.engine.storage_fault import storage_fault
from tests.sweeps.made_plans import Heard, made_job, made_site
from tests.sweeps.made_records import ORIGIN, PRINTS, run_config


def test_a_storage_that_takes_files_is_left_as_it_was(tmp_path: Path) -> None:
    assert storage_fault(tmp_path / "output") == ""
    assert list((tmp_path / "output").iterdir()) == []


def test_one_that_takes_none_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("a file")
    assert storage_fault(tmp_path / "output") == f"{tmp_path / 'output'} cannot be written: File exists"


def test_one_with_room_for_a_note_but_no_checkpoint_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def little(_: Path) -> int:
        return 3 << 20

    monkeypatch.setattr(storage_faults, "bytes_free", little)
    assert storage_fault(tmp_path) == f"{tmp_path} has 3 MiB free"


@pytest.mark.parametrize(("fault", "given"), [("", "second"), ("full", Searcher.FINISHED)])
def test_after_a_failure_no_run_is_given_out_if_the_storage_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, given: str
) -> None:
    def looked(_: Path) -> str:
        return fault

    monkeypatch.setattr(plan_searcher, "storage_fault", looked)
    jobs = {key: made_job(tmp_path, run_config(lam)) for key, lam in (("first", 0.1), ("second", 0.2))}
    searcher = PlanSearcher(jobs, {"first": (), "second": ()}, Heard())
    searcher.suggest("a")
    searcher.on_trial_complete("a", {"failed": True})
    suggested = searcher.suggest("b")
    assert (suggested if fault else suggested["key"]) == given


def test_a_launch_that_loses_its_storage_says_so(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fitted(searcher: PlanSearcher, *_: object, **__: object) -> None:
        searcher.lost = "/shared cannot be written: No space left on device"

    monkeypatch.setattr(launch, "fit", fitted)
    plan = make_plan([(run_config(), None)], store, PRINTS)
    with pytest.raises(StorageLostError, match=r"/shared .*no further run is started; make room \(`fsar gc`\)"):
        run_plan(plan, made_site(tmp_path), ORIGIN, Heard())


def raising(error: Exception) -> Callable[[Console], bool]:
    def action(_: Console) -> bool:
        raise error

    return action


def test_a_full_disk_ends_a_command_with_its_name_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as end:
        ended(raising(OSError(errno.ENOSPC, "No space left on device", "/shared/table.md")))
    assert end.value.exit_code == REFUSED
    assert "stopped /shared/table.md: No space left on device; make room" in capsys.readouterr().out


def test_other_errors_of_the_system_are_not_hidden() -> None:
    with pytest.raises(FileNotFoundError):
        ended(raising(FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")))
