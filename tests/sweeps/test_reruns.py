"""What is kept of reruns, read back."""

import json
from pathlib import Path

import pytest

from sweeps.engine.records import Store
from sweeps.engine.reruns import (
    Apart,
    Code,
    Machines,
    Rerun,
    find_rerun,
    fresh_site,
    rerun_folder,
    reruns,
    slot_moment,
    slot_of,
    write,
)
from sweeps.engine.site import BadRequest, Site
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_schedules import SLOTS


def made(site: Site, slot: str, *, fresh: bool = True) -> Rerun:
    return Rerun(
        schedule="nightly",
        slot=slot,
        storage=rerun_folder(site, "nightly", slot) if fresh else site.storage,
        tables=("sgtm/table5",),
        script=None,
        dataset="motionshapes",
        preset="tiny",
        seeds=(0,),
        fresh=fresh,
        code=Code(git_commit="abc", dirty=False, source="0" * 16),
        machines=Machines(host="a", python="3.11", platform="Linux", versions={}, trained_on=()),
        fingerprints={"motionshapes": "f"},
        cells=1,
        cells_done=1,
        numbers=(),
        started_ms=1,
        ended_ms=2,
        exit_code=0,
        tracking_run="r",
    )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


def test_they_come_back_the_oldest_first(site: Site) -> None:
    own = [made(site, SLOTS[1]), made(site, SLOTS[2], fresh=False), made(site, SLOTS[0])]
    for rerun in own:
        write(site, rerun)
    assert reruns(site, "nightly") == sorted(own, key=lambda rerun: rerun.slot)
    assert reruns(site, "weekly") == []
    assert find_rerun(site, "nightly", SLOTS[0]) == own[2]


def test_a_storage_can_be_moved(site: Site, tmp_path: Path) -> None:
    write(site, made(site, SLOTS[0]))
    write(site, made(site, SLOTS[1], fresh=False))
    moved = site.model_copy(update={"storage": tmp_path / "elsewhere"})
    site.storage.rename(moved.storage)
    assert [rerun.storage for rerun in reruns(moved, "nightly")] == [
        moved.storage / "reruns" / "nightly" / SLOTS[0],
        moved.storage,
    ]


def test_damaged_files_are_all_named(site: Site) -> None:
    for slot in SLOTS[:2]:
        write(site, made(site, slot))
        (rerun_folder(site, "nightly", slot) / "rerun.json").write_text("{")
    with pytest.raises(BadRequest) as refusal:
        reruns(site, "nightly")
    assert [slot in fault for slot, fault in zip(SLOTS, refusal.value.faults, strict=False)] == [True, True]


@pytest.mark.parametrize(("field", "value"), [("storage", "../../elsewhere"), ("storage", "/etc"), ("slot", SLOTS[1])])
def test_a_file_of_something_else_is_refused(site: Site, field: str, value: str) -> None:
    write(site, made(site, SLOTS[0]))
    path = rerun_folder(site, "nightly", SLOTS[0]) / "rerun.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(BadRequest, match="is of another"):
        find_rerun(site, "nightly", SLOTS[0])


def test_slots_are_moments_and_sort_like_them() -> None:
    assert [slot_of(slot_moment(slot)) for slot in SLOTS] == list(SLOTS)
    with pytest.raises(ValueError, match="does not match"):
        slot_moment("2026-11-01")


def test_a_fresh_rerun_keeps_its_records_apart_and_all_else_where_it_is(site: Site) -> None:
    own = fresh_site(site, "nightly", SLOTS[0])
    assert own.mlflow_uri() == site.mlflow_uri()
    assert (own.cache, own.imports, own.datasets) == (site.cache, site.imports, site.datasets)
    assert Store(own.storage).root != Store(site.storage).root
    apart = Apart(schedule="nightly", slot=SLOTS[0], parent="p")
    assert apart.key("k") != "k"
    assert apart.key("k") != Apart(schedule="nightly", slot=SLOTS[1], parent="p").key("k")
