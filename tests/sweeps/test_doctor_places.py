"""Disks and locks, as `fsar doctor` looks at them."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.engine import doctor_places
from sweeps.engine.doctor import GIB
from sweeps.engine.doctor_places import disks, locks
from sweeps.engine.site import Site
from tests.sweeps.made_doctor import giving, only, states
from tests.sweeps.made_plans import made_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


@pytest.mark.parametrize(("free", "level"), [(0.5, "fail"), (5, "warn"), (50, "ok")])
def test_disks_need_room(site: Site, monkeypatch: pytest.MonkeyPatch, free: float, level: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", giving(SimpleNamespace(free=free * GIB)))
    assert {state for _, state in states(disks, site)} == {level}


def test_a_folder_that_may_not_be_entered_counts_as_none(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, access = tmp_path / "closed", os.access

    def refused(path: Path, mode: int) -> bool:
        return closed not in path.parents and (path != closed or mode == os.F_OK) and access(path, mode)

    def raising(path: Path) -> bool:
        raise PermissionError(path)

    closed.mkdir()
    monkeypatch.setattr(os, "access", refused)
    monkeypatch.setattr(Path, "exists", raising)
    found = next(disks(site.model_copy(update={"storage": closed / "fsar" / "output"})))
    assert (found.level, found.told) == ("fail", f"{closed} cannot be written")


def test_locks_hold_on_a_local_disk(site: Site) -> None:
    assert only(locks, site).level == "ok"
    assert not site.storage.exists()


def test_locks_that_do_not_hold_are_a_fault(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_places, "_other_takes", giving(0))
    assert "takes a lock that is held" in only(locks, site).told


def test_a_storage_that_cannot_be_made_is_a_fault(site: Site, tmp_path: Path) -> None:
    (tmp_path / "output").write_text("a file")
    found = only(locks, site)
    assert (found.level, found.todo) == ("fail", "storage must be writable for this user")
