"""How long a plan takes: known speeds are used, unknown ones measured, chains respected."""

from pathlib import Path

import pytest
import torch

from fsar_core.config import RunConfig
from fsar_core.episode import Clips
from fsar_core.method import Method
from fsar_core.precision import Precision
from sweeps.engine import estimate as estimates
from sweeps.engine import probing
from sweeps.engine.estimate import Speed, slots, speeds
from sweeps.engine.plan import Plan, make_plan
from sweeps.engine.plan_report import Totals
from sweeps.engine.planning import report
from sweeps.engine.probing import probe, probe_step
from sweeps.engine.records import Store
from sweeps.engine.site import Site
from tests.fsar_core import tiny
from tests.sweeps.made_plans import FIRST, made_site, needing, write_checkpoint
from tests.sweeps.made_records import PRINTS, TRAIN, run_config, train_record, write_run


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The runs that are measured; each gives half a second a step."""
    measured: list[RunConfig] = []

    def made(run: RunConfig, _: Site) -> float:
        measured.append(run)
        return 0.5

    monkeypatch.setattr(estimates, "probe", made)
    return measured


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of a second a video, and a tenth for the update of the weights."""

    def by_videos(_: Method, clips: Clips, __: Precision) -> float:
        return 0.01 * len(clips.videos)

    def at_once(_: torch.optim.Optimizer, __: torch.device) -> float:
        return 0.1

    monkeypatch.setattr(probing, "_timed", by_videos)
    monkeypatch.setattr(probing, "_timed_update", at_once)


def totals(plan: Plan, site: Site) -> Totals:
    return report({}, plan, site).totals


def on_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(estimates.os, "cpu_count", lambda: count)


def test_a_recorded_speed_is_used_for_runs_of_the_same_work(
    store: Store, site: Site, probed: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cores(monkeypatch, 1)
    done = run_config(seed=0, steps=600)
    store.folder(done, TRAIN).write_record(train_record(done).model_copy(update={"train_seconds": 120.0}))
    plan = make_plan([(run_config(seed=seed, steps=600), None) for seed in range(3)], store, PRINTS)
    assert list(speeds(plan, site).values()) == [Speed(seconds=120 / 600, source="recorded", where="cpu")] * 3
    guess = totals(plan, site)
    assert probed == []
    assert guess.seconds == pytest.approx(2 * 600 * 0.2)


def test_other_work_is_measured_once_for_each_kind(
    store: Store, site: Site, probed: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cores(monkeypatch, 1)
    runs = [run_config(0.1, shot, seed, steps=100) for shot in (1, 5) for seed in (0, 1)]
    guess = totals(make_plan([(run, None) for run in runs], store, PRINTS), site)
    assert len(probed) == 2
    assert guess.seconds == guess.wall_seconds == pytest.approx(4 * 100 * 0.5)


def test_a_run_alike_of_another_plan_tells_the_speed_and_one_from_a_gpu_does_not(
    store: Store, tmp_path: Path, probed: list[RunConfig]
) -> None:
    site = made_site(tmp_path).model_copy(update={"storage": store.root})
    plan = make_plan([(run_config(0.1), None)], store, PRINTS)
    other = train_record(run_config(0.7, steps=300)).model_copy(update={"train_seconds": 30.0})
    gpu = other.environment.model_copy(update={"device": "NVIDIA H200"})
    folder = store.folder(other.run, TRAIN)
    folder.write_record(other.model_copy(update={"environment": gpu}))
    assert speeds(plan, site, probes=0) == {}
    folder.write_record(other)
    assert [speed.seconds for speed in speeds(plan, site).values()] == [pytest.approx(0.1)]
    assert probed == []


def test_a_cpu_tells_nothing_of_a_site_with_gpus(
    store: Store, site: Site, probed: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates.torch.cuda, "is_available", lambda: False)
    guess = totals(make_plan([(run_config(), None)], store, PRINTS), site.model_copy(update={"gpus_per_run": 1}))
    assert (guess.unknown, guess.seconds, probed) == (1, 0, [])


def test_no_more_kinds_are_measured_than_are_allowed_those_with_most_steps_first(
    store: Store, site: Site, probed: list[RunConfig]
) -> None:
    runs = [run_config(shot=shot, steps=100 * shot) for shot in range(1, 5)]
    found = speeds(make_plan([(run, None) for run in runs], store, PRINTS), site, probes=2)
    assert [run.training.steps for run in probed] == [400, 300]
    assert len(found) == 2


def test_only_the_steps_that_are_left_take_time(store: Store, site: Site, probed: list[RunConfig]) -> None:
    run = run_config(steps=600)
    write_checkpoint(store.folder(run, TRAIN), 500)
    assert totals(make_plan([(run, None)], store, PRINTS), site).seconds == pytest.approx(50)


def test_runs_side_by_side_share_the_time_but_a_chain_does_not(
    store: Store, site: Site, probed: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cores(monkeypatch, 4)
    apart = make_plan([(run_config(0.1 * i, steps=100), None) for i in range(1, 5)], store, PRINTS)
    assert totals(apart, site).wall_seconds == pytest.approx(4 * 50 / 4)
    chain = make_plan(
        [(needing(run_config(steps=100), needing(run_config(0.2, steps=100), FIRST)), None)], store, PRINTS
    )
    guess = totals(chain, site)
    assert guess.wall_seconds == guess.seconds == pytest.approx(50 + 50 + 25)


def test_a_complete_plan_takes_no_time(store: Store, site: Site, probed: list[RunConfig]) -> None:
    write_run(store, run_config())
    guess = totals(make_plan([(run_config(), None)], store, PRINTS), site)
    assert (guess.seconds, guess.wall_seconds, probed) == (0, 0, [])


@pytest.mark.parametrize(("cpus", "gpus", "expected"), [(1, 0, 8), (2, 0, 4), (0.5, 0, 16), (16, 0, 1), (1, 0.5, 4)])
def test_as_many_runs_at_a_time_as_cores_and_gpus_allow(
    site: Site, monkeypatch: pytest.MonkeyPatch, cpus: float, gpus: float, expected: int
) -> None:
    on_cores(monkeypatch, 8)
    monkeypatch.setattr(estimates.torch.cuda, "device_count", lambda: 2)
    assert slots(site.model_copy(update={"cpus_per_run": cpus, "gpus_per_run": gpus})) == expected


def test_a_probe_of_episodes_counts_all_episodes_of_a_step(site: Site, timed: None) -> None:
    run = tiny.run()
    assert run.batches.kind == "episodes"
    videos = run.batches.per_step * run.batches.way * (run.batches.shot + run.batches.queries)
    assert probe(run, site) == pytest.approx(0.01 * videos + 0.1)


def test_a_probe_of_clips_counts_the_whole_batch(site: Site, timed: None) -> None:
    run = tiny.recipe().class_scores(tiny.sgtm.score_layers(tiny.BACKBONE))
    assert run.batches.kind == "clips"
    assert probe(run, site) == pytest.approx(0.01 * run.batches.size + 0.1)


@pytest.mark.parametrize(
    ("crop", "shot", "clips"),
    [(48, 1, 3 + 6), (168, 1, 3 + 6), (248, 1, 3 + 3), (248, 5, 3 + 3), (336, 1, 2 + 2), (704, 1, 2 + 2)],
)
def test_a_cpu_measures_as_many_clips_as_it_can_in_seconds(
    site: Site, timed: None, monkeypatch: pytest.MonkeyPatch, crop: int, shot: int, clips: int
) -> None:
    """20 frames of 4 may have two million pixels: of a clip a ninth, a sixth, a quarter."""
    made: list[int] = []

    def noise(run: RunConfig, method: Method, classes: int, device: torch.device) -> Clips:
        made.append(crop)
        count = _clips(run)
        return Clips(videos=torch.zeros(count), class_ids=torch.zeros(count))

    monkeypatch.setattr(probing, "random_clips", noise)
    run = with_shots(tiny.recipe(crop=crop).few_shot(tiny.METHODS["baseline"]), shot)
    probed = probe_step(run, site)
    assert (probed.clips, probed.of) == (clips, 3 * (shot + 2))
    assert probed.seconds == pytest.approx(0.01 * 2 * probed.of + 0.1)


def with_shots(run: RunConfig, shot: int) -> RunConfig:
    return run.model_copy(update={"batches": run.batches.model_copy(update={"shot": shot})})


def _clips(run: RunConfig) -> int:
    assert run.batches.kind == "episodes"
    return run.batches.way * (run.batches.shot + run.batches.queries)


@pytest.mark.parametrize("name", ["sgtm", "baseline"])
def test_a_real_probe_takes_time(site: Site, name: str) -> None:
    assert 0 < probe(tiny.run(name), site) < 60


def test_an_empty_plan_takes_no_time(store: Store, site: Site) -> None:
    guess = totals(make_plan([], store, PRINTS), site)
    assert (guess.seconds, guess.wall_seconds, guess.unknown) == (0, 0, 0)
