"""Which part of a GPU a run asks for, and what it gets after it ran out of memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import ray

from fsar_core.config import RunConfig
from sweeps.engine import asking, packing
from sweeps.engine.asking import asks_of, nodes_lost
from sweeps.engine.failures import Failure
from sweeps.engine.job import Asks
from sweeps.engine.launch import _resources, job_of, jobs_of, ray_session  # pyright: ignore[reportPrivateUsage] - what Ray asks for a trial
from sweeps.engine.packing import card_bytes, count_all, gpus_of
from sweeps.engine.plan import Plan, make_plan
from sweeps.engine.records import Store
from sweeps.engine.site import BadRequest, Site, load_site
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import ORIGIN, PRINTS, run_config

GIB = 1 << 30
PACKED = 'gpus_per_run = "auto"\ngpu_gib = 24\n'
SMALL, LARGE = run_config(0.1), run_config(0.2, shot=5)


def read(folder: Path, head: str) -> Site:
    path = folder / "site.toml"
    path.write_text(f'{head}[datasets.motionshapes]\nroot = "videos"\n')
    return load_site(str(path))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return read(tmp_path, PACKED)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says how many GiB a step of the runs takes, by their shots."""

    def taking(*, small: float, large: float = 1) -> None:
        def peak(run: RunConfig, site: Site) -> int:
            return int((large if "shot=5" in repr(run.batches) else small) * GIB)

        monkeypatch.setattr(packing, "_peak_bytes", peak)

    return taking


@pytest.fixture
def plan(store: Store) -> Plan:
    return make_plan([(SMALL, None), (LARGE, None)], store, PRINTS)


def test_auto_in_a_site_file_packs_gpus(site: Site) -> None:
    assert (site.gpus_per_run, site.pack_gpus, card_bytes(site)) == (1, True, 24 * GIB)
    assert Site.model_validate_json(site.model_dump_json()) == site


@pytest.mark.parametrize(("peak", "at_once"), [(0.5, 8), (3, 5), (4, 4), (9, 2), (11, 1), (60, 1)])
def test_as_many_runs_share_a_card_as_fit_it(
    site: Site, counted: Callable[..., None], peak: float, at_once: int
) -> None:
    counted(small=peak)
    share = gpus_of(SMALL, site)
    assert share == pytest.approx(1 / at_once, abs=1e-4)
    assert at_once * share <= 1, "Ray would find room for one less"


def test_a_site_that_does_not_pack_gives_what_it_says(tmp_path: Path) -> None:
    assert gpus_of(SMALL, read(tmp_path, "gpus_per_run = 0.25\n")) == 0.25


def test_gpus_per_run_is_the_most_a_packed_run_gets(site: Site, counted: Callable[..., None]) -> None:
    counted(small=9)
    assert gpus_of(SMALL, site.model_copy(update={"gpus_per_run": 0.25})) == 0.25


def test_without_a_gpu_here_the_site_must_tell_its_memory(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing.torch.cuda, "device_count", lambda: 0)
    with pytest.raises(BadRequest, match="give gpu_gib"):
        card_bytes(site.model_copy(update={"gpu_gib": None}))


def test_that_is_refused_before_anything_is_launched(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing.torch.cuda, "device_count", lambda: 0)
    for name in ("init", "shutdown", "cluster_resources"):
        monkeypatch.setattr(ray, name, lambda **_: {})  # pyright: ignore[reportUnknownLambdaType] - what Ray is told
    unknown = site.model_copy(update={"gpu_gib": None, "ray": "auto"})
    with pytest.raises(BadRequest, match="give gpu_gib"), ray_session(unknown):
        pass


def test_each_kind_of_run_is_really_counted_once_and_the_shares_are_told(
    site: Site, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_counted", {})
    steps: list[tuple[int, int]] = []
    words = count_all(plan, site, lambda done, total: steps.append((done, total)))
    assert words == "GPUs a run, by counted memory on 24 GiB: 2 at 0.125"
    assert steps == [(0, 2), (1, 2), (2, 2)]
    monkeypatch.setattr(packing, "step_cost", None)
    assert gpus_of(SMALL, site) == 0.125


def test_a_job_asks_for_its_share_and_its_worker_knows_it(site: Site, plan: Plan, counted: Callable[..., None]) -> None:
    counted(small=4, large=9)
    small, large = jobs_of(plan, site, ORIGIN).values()
    assert (small.asks, large.asks) == (Asks(cpus=1, gpus=0.25), Asks(cpus=1, gpus=0.5))
    assert (small.site.gpus_per_run, large.site.gpus_per_run) == (0.25, 0.5)
    assert small.given("k", judged=True)["asks"] == {"CPU": 1, "GPU": 0.25}


def test_a_run_that_ran_out_of_memory_gets_a_gpu_for_itself(
    site: Site, plan: Plan, counted: Callable[..., None]
) -> None:
    counted(small=4, large=9)
    plan.runs[0].folder.write_failure(Failure(kind="oom", traceback="x"))
    plan.runs[1].folder.write_failure(Failure(kind="bug", traceback="x"))
    small, large = jobs_of(plan, site, ORIGIN).values()
    assert (small.asks, large.asks) == (Asks(cpus=1, gpus=1, alone=True), Asks(cpus=1, gpus=0.5))


def test_without_gpus_it_gets_the_largest_node(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"Alive": alive, "Resources": {"CPU": cpus}} for alive, cpus in ((True, 4.0), (True, 8.0), (False, 64.0))]
    monkeypatch.setattr(asking, "_nodes", lambda: nodes)
    own = made_site(tmp_path)
    assert asks_of(plan.runs[0], own) == Asks(cpus=1, gpus=0)
    plan.runs[0].folder.write_failure(Failure(kind="oom", traceback="x"))
    assert asks_of(plan.runs[0], own) == Asks(cpus=8, gpus=0, alone=True)


def test_one_that_met_a_full_disk_is_kept_off_that_node_where_there_are_others(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def node(name: str, cpus: float = 4.0, *, alive: bool = True) -> dict[str, object]:
        return {"NodeID": name, "Alive": alive, "Resources": {"CPU": cpus}}

    own, (first, other, *_) = made_site(tmp_path), plan.runs
    first.folder.write_failure(Failure(kind="disk", traceback="x", node="full"))
    other.folder.write_failure(Failure(kind="bug", traceback="x", node="full"))
    for nodes, expected in (
        ([node("full"), node("another")], ("full",)),
        ([node("full"), node("a head", 0.0), node("gone", alive=False)], ()),
        ([], ()),
    ):
        monkeypatch.setattr(asking, "_nodes", partial(list[dict[str, object]], nodes))
        assert asks_of(first, own).not_on == expected
        assert asks_of(other, own).not_on == ()
    kept_off = job_of(first, {}, PRINTS, own, ORIGIN).model_copy(
        update={"asks": Asks(cpus=1, gpus=0, not_on=("full",))}
    )
    group = _resources({"CPU": 1.0}, kept_off.given("k", judged=False))
    assert group.required_resources == {"CPU": 1.0}
    assert "'!in(full)'" in repr(group)


def test_a_damaged_note_of_a_failure_does_not_stop_a_launch(plan: Plan, tmp_path: Path) -> None:
    plan.runs[0].folder.path.mkdir(parents=True)
    (plan.runs[0].folder.path / "failure.json").write_text("{")
    assert asks_of(plan.runs[0], made_site(tmp_path).model_copy(update={"cpus_per_run": 2.0})).cpus == 2


def test_only_nodes_that_died_unasked_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {"ended": 1, "vanished": 2, "preempted": 3, "idle": 4}
    nodes = [{"Alive": False, "DeathReason": reason} for reason in reasons.values()]
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", lambda: [*nodes, {"Alive": True, "DeathReason": 0}])
    assert nodes_lost() == nodes_lost(more_than=1) == 2
