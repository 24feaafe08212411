"""Which masks a run was trained with: in its record, the same on every node and after an interruption, or refused."""

from pathlib import Path

import pytest
import torch

from fsar_core.checkpoint import latest_checkpoint, selected_weights
from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data import datasets
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.datasets import DatasetPlace
from fsar_core.mask_settings import MaskSettings
from sweeps.engine import job as jobs
from sweeps.engine.estimate import probe
from sweeps.engine.job import Job, carry_out
from sweeps.engine.plan import make_plan
from sweeps.engine.records import Point, RunFolder, Store
from sweeps.engine.run_masks import mask_conflicts, mask_faults, mask_fingerprint, masks_key
from sweeps.engine.site import DatasetEntry, Site, load_site
from sweeps.engine.tracking_fields import tags
from tests.fsar_core import tiny
from tests.fsar_core.made_masks import LONGEST, made_masks, masked_run, numbered, put, write_listing
from tests.sweeps.made_plans import needing
from tests.sweeps.made_records import ORIGIN, run_config

RUN = masked_run()


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.fixture(autouse=True)
def made_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything real but the videos."""

    def indexed(_: DatasetPlace) -> ClipIndex:
        return tiny.index()

    def cached(*_: object, **__: object) -> tiny.MadeFrames:
        return tiny.MadeFrames()

    monkeypatch.setattr(jobs, "open_index", indexed)
    monkeypatch.setattr(datasets, "build_cache", cached)
    jobs._opened.cache_clear()  # pyright: ignore[reportPrivateUsage] - it outlives a test


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made_masks(tmp_path / "videos" / "masks", tiny.index())
    return Site(storage=tmp_path / "out", cache=tmp_path, datasets={"made": DatasetEntry(root=tmp_path / "videos")})


def prints(site: Site, run: RunConfig = RUN) -> dict[str, str]:
    """As a driver finds them."""
    found = mask_fingerprint(site.place("made"), tiny.index(), [run])
    own = {"made": tiny.index().fingerprint}
    return own if found is None else own | {masks_key("made"): found}


def job_of(site: Site, run: RunConfig = RUN) -> Job:
    fingerprints = prints(site, run)
    return Job(
        run=run,
        missing=(),
        folder=Store(site.storage).folder(run, fingerprints["made"]).path,
        needs={},
        fingerprints=fingerprints,
        site=site,
        origin=ORIGIN,
    )


def other_masks(site: Site) -> None:
    """Replaces those of one clip."""
    root = site.place("made").mask_root()
    put(root, "train0/0", numbered(LONGEST, tiny.SIZE)[::-1].copy())
    write_listing(root, (tiny.SIZE, tiny.SIZE))
    jobs._opened.cache_clear()  # pyright: ignore[reportPrivateUsage] - as a new worker has it


def silent(step: int, points: list[Point]) -> None:
    """Nobody listens."""


def killed(step: int, points: list[Point]) -> None:
    if step == 2:
        raise Killed


def test_a_record_names_the_masks(site: Site) -> None:
    job = job_of(site)
    carry_out(job, silent)
    record = RunFolder(job.folder).record()
    assert record is not None
    assert record.masks == prints(site)[masks_key("made")]
    assert tags(record)["masks"] == record.masks
    assert "train/mask_regression" in record.history[0].metrics


def test_a_run_without_masks_looks_for_none(site: Site) -> None:
    (site.place("made").mask_root() / "manifest.json").unlink()
    job = job_of(site, tiny.run("baseline"))
    carry_out(job, silent)
    record = RunFolder(job.folder).record()
    assert record is not None
    assert record.masks is None
    assert "masks" not in tags(record)


def test_a_killed_run_with_masks_goes_on_to_the_same_weights(site: Site, tmp_path: Path) -> None:
    whole = job_of(site).model_copy(update={"folder": tmp_path / "whole"})
    carry_out(whole, silent)
    job = job_of(site)
    with pytest.raises(Killed):
        carry_out(job, killed)
    carry_out(job, silent)
    own, theirs = (selected_weights(_checkpoint(of)) for of in (job, whole))
    assert all(torch.equal(own[name], theirs[name]) for name in theirs)


def _checkpoint(job: Job) -> Path:
    found = latest_checkpoint(RunFolder(job.folder).checkpoints)
    assert found is not None
    return found


@pytest.mark.parametrize("begun", [True, False])
def test_other_masks_do_not_continue_or_stand_for_a_run(site: Site, begun: bool) -> None:
    job = job_of(site)
    if begun:
        with pytest.raises(Killed):
            carry_out(job, killed)
    else:
        carry_out(job, silent)
    store, before = Store(site.storage), prints(site)
    assert mask_conflicts(make_plan([(RUN, None)], store, before)) == []
    other_masks(site)
    now = prints(site)
    assert now[masks_key("made")] != before[masks_key("made")]
    (fault,) = mask_conflicts(make_plan([(RUN, None)], store, now))
    assert f"fingerprint {before[masks_key('made')]}, but the masks are {now[masks_key('made')]} now" in fault
    assert "(--fresh)" in fault
    with pytest.raises(RuntimeError, match="was trained with masks of fingerprint"):
        carry_out(job_of(site), silent)
    assert mask_conflicts(make_plan([(RUN, None)], Store(site.storage, 1), now)) == []


def test_other_masks_on_the_node_are_refused_with_both_fingerprints(site: Site) -> None:
    job = job_of(site)
    other_masks(site)
    with pytest.raises(RuntimeError, match=f"the masks of 'made' on .* planned {prints_of(job)}; give every node"):
        carry_out(job, silent)
    assert RunFolder(job.folder).record() is None


def prints_of(job: Job) -> str:
    return job.fingerprints[masks_key("made")]


def test_measuring_a_finished_run_needs_no_masks(site: Site) -> None:
    job = job_of(site)
    carry_out(job, silent)
    for path in site.place("made").mask_root().rglob("*.npz"):
        path.unlink()
    jobs._opened.cache_clear()  # pyright: ignore[reportPrivateUsage] - as a new worker has it
    carry_out(job.model_copy(update={"missing": (EvalConfig(way=3, episodes=5),)}), silent)
    assert len(list((job.folder / "evaluations").glob("*.json"))) == 1


def test_masks_of_runs_that_others_need_are_looked_for_too() -> None:
    place = DatasetPlace(name="made", root=Path("none"), cache=Path("none"))
    (fault,) = mask_faults(place, tiny.index(), [needing(run_config(), RUN), RUN])
    assert "no masks in none/masks" in fault
    assert mask_faults(place, tiny.index(), [run_config()]) == []
    assert mask_fingerprint(place, tiny.index(), [run_config()]) is None


def test_faults_of_all_settings_come_together(site: Site) -> None:
    runs = [masked_run(MaskSettings(canvas=size)) for size in (10, 20, 30)]
    faults = mask_faults(site.place("made"), tiny.index(), runs)
    assert sorted(fault.split("must be ")[1][:5] for fault in faults) == ["10x10", "30x30"]


def test_the_time_of_a_run_with_masks_is_measured_with_masks(site: Site) -> None:
    assert probe(RUN, site) > 0


def test_a_site_may_name_the_folder_of_masks(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text('[datasets.a]\nroot = "videos"\n[datasets.b]\nroot = "videos"\nmasks = "elsewhere"\n')
    site = load_site(str(path))
    assert site.place("a").mask_root() == Path.cwd() / "videos" / "masks"
    assert site.place("b").mask_root() == Path.cwd() / "elsewhere"
