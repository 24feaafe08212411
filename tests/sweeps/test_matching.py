"""How long tests match: recorded times are used, others measured once for each kind."""

from pathlib import Path

import pytest
import torch

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.method import MethodConfig
from fsar_core.presets import laptop64
from search_spaces.variants import find_variants
from sweeps.engine import matching as matchings
from sweeps.engine.matching import Matching, matching
from sweeps.engine.plan import Plan, make_plan
from sweeps.engine.records import Store
from sweeps.engine.results import UnreadableResultError
from sweeps.engine.savings import ClipCounts
from sweeps.engine.site import Site
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import PRINTS, TRAIN, run_config, write_evaluation, write_run

SIZES: ClipCounts = {("motionshapes", "test"): 240, ("hmdb51", "test"): 100}
ONE, FIVE = EvalConfig(episodes=40), EvalConfig(episodes=40, shot=5)
MEASURED = Matching(0.25, "measured")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Shots and clips of what is measured."""
    calls: list[tuple[int, int]] = []

    def made(_: RunConfig, evaluation: EvalConfig, clips: int, __: torch.device) -> float:
        calls.append((evaluation.shot, clips))
        return 0.25

    monkeypatch.setattr(matchings, "matching_seconds", made)
    return calls


def plan_of(store: Store, *tests: EvalConfig, seeds: int = 2) -> Plan:
    return make_plan([(run_config(seed=seed), own) for seed in range(seeds) for own in tests], store, PRINTS)


def test_a_recorded_test_tells_the_time_of_those_alike(store: Store, site: Site, timed: list[tuple[int, int]]) -> None:
    write_run(store, run_config(seed=0))
    write_evaluation(store, run_config(seed=0), ONE, 0.5)
    found = matching(plan_of(store, ONE, FIVE), site, SIZES)
    recorded = Matching(1.5, "recorded")
    assert found == {
        own.eval_id(run_config(seed=seed)): told for own, told in ((ONE, recorded), (FIVE, MEASURED)) for seed in (0, 1)
    }
    assert timed == [(5, 240)]


def test_what_most_tests_wait_for_is_measured_first_and_what_none_does_not_at_all(
    store: Store, site: Site, timed: list[tuple[int, int]]
) -> None:
    elsewhere = EvalConfig(episodes=40, dataset="hmdb51")
    runs = [
        (run_config(seed=seed), own)
        for seed, own in ((0, FIVE), (0, ONE), (1, ONE), (0, elsewhere), (1, elsewhere), (2, elsewhere))
    ]
    assert len(matching(make_plan(runs, store, PRINTS), site, SIZES)) == 6
    assert timed == [(1, 100), (1, 240), (5, 240)]
    timed.clear()
    write_run(store, run_config(seed=0))
    write_evaluation(store, run_config(seed=0), ONE, 0.5)
    matching(plan_of(store, ONE, seeds=1), site, SIZES)
    assert timed == []


def test_a_record_of_another_kind_of_device_tells_nothing(
    store: Store, site: Site, timed: list[tuple[int, int]]
) -> None:
    write_run(store, run_config(seed=0))
    write_evaluation(store, run_config(seed=0), ONE, 0.5)
    record = store.folder(run_config(seed=0), TRAIN).record()
    assert record is not None
    gpu = record.environment.model_copy(update={"device": "NVIDIA H200"})
    store.folder(run_config(seed=0), TRAIN).write_record(record.model_copy(update={"environment": gpu}))
    assert set(matching(plan_of(store, ONE), site, SIZES).values()) == {MEASURED}
    with_gpus = site.model_copy(update={"gpus_per_run": 1})
    assert {own.source for own in matching(plan_of(store, ONE), with_gpus, SIZES, measured=False).values()} == {
        "recorded"
    }


def test_where_frames_depend_on_the_episode_a_record_holds_more_than_matching(
    store: Store, site: Site, timed: list[tuple[int, int]]
) -> None:
    run = find_variants(["vim"])[0].run(laptop64("motionshapes"))
    write_run(store, run)
    write_evaluation(store, run, ONE, 0.5)
    plan = make_plan([(run, ONE), (run.model_copy(update={"seed": 1}), ONE)], store, PRINTS)
    assert set(matching(plan, site, SIZES).values()) == {MEASURED}
    assert timed == [(1, 240)]


@pytest.mark.parametrize("sampled_first", [False, True])
def test_one_run_with_and_without_a_sampler_is_two_kinds(
    store: Store, site: Site, timed: list[tuple[int, int]], *, sampled_first: bool
) -> None:
    run = find_variants(["vim"])[0].run(laptop64("motionshapes"))
    plain = run.method.for_test().model_copy(
        update={"frame_sampler": MethodConfig.model_fields["frame_sampler"].default}
    )
    tests = [ONE, EvalConfig(episodes=40, method=plain)]
    write_run(store, run)
    write_evaluation(store, run, tests[1], 0.5)
    plan = make_plan([(run, own) for own in (tests if sampled_first else tests[::-1])], store, PRINTS)
    found = matching(plan, site, SIZES)
    assert [found[own.eval_id(run)] for own in tests] == [MEASURED, Matching(1.5, "recorded")]
    assert len(timed) == 1


@pytest.mark.usefixtures("timed")
def test_nothing_is_told_that_nothing_tells(store: Store, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(store, ONE)
    assert matching(plan, site, {}) == {}
    assert matching(plan, site, SIZES, measured=False) == {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert matching(plan, site.model_copy(update={"gpus_per_run": 1}), SIZES) == {}


def test_a_damaged_record_is_named(store: Store, site: Site) -> None:
    run = run_config(seed=0)
    write_run(store, run)
    write_evaluation(store, run, ONE, 0.5)
    (path,) = (store.folder(run, TRAIN).path / "evaluations").glob("*.json")
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": "long"'))
    with pytest.raises(UnreadableResultError, match="evaluations in"):
        matching(plan_of(store, ONE), site, SIZES)
