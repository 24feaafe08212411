"""What sharing saves: counted against each table alone and every episode's clips embedded anew."""

import pytest

from fsar_core.config import EvalConfig
from fsar_core.presets import laptop64
from search_spaces.variants import find_variants
from sweeps.engine.estimate import Speed
from sweeps.engine.plan import asked, make_plan
from sweeps.engine.records import Store
from sweeps.engine.savings import ClipCounts, Wanted, clip_seconds, embedded, needed_by, savings
from sweeps.engine.work import clips_per_step
from tests.fsar_core import tiny
from tests.sweeps.made_plans import FIRST, made_cell, needing
from tests.sweeps.made_records import PRINTS, run_config

SIZES: ClipCounts = {("motionshapes", "test"): 240, ("motionshapes", "val"): 80}
SHARED, OTHER = needing(run_config(0.1), FIRST), run_config(0.2)


def two_tables() -> Wanted:
    """One run in both, another in the second, each under two seeds; all on 40 episodes of 5 x (1 + 1) clips."""
    return {
        "one": asked([made_cell("a", SHARED), made_cell("again", SHARED)], (0, 1)),
        "two": asked([made_cell("a", SHARED), made_cell("b", OTHER)], (0, 1)),
    }


def test_each_table_alone_trains_what_others_train_too_and_what_its_runs_need(store: Store) -> None:
    wanted = two_tables()
    plan = make_plan([pair for cells in wanted.values() for pair in cells], store, PRINTS)
    assert {name: len(runs) for name, runs in needed_by(wanted, plan).items()} == {"one": 3, "two": 5}
    found = savings(wanted, plan, {}, {}, {})
    assert (found.table_by_table.trainings, found.together.trainings) == (8, 5)
    assert (found.table_by_table.evaluations, found.together.evaluations) == (2 + 4, 4)
    assert found.table_by_table.clips == 6 * 40 * 10
    assert found.together.clips is None  # the test data set's size is not known
    assert found.trainings_without_speed == 5


def test_seconds_are_those_of_all_steps_whether_recorded_or_not(store: Store) -> None:
    wanted = two_tables()
    plan = make_plan([pair for cells in wanted.values() for pair in cells], store, PRINTS)
    speed = Speed(seconds=0.5, source="recorded", where="a CPU")
    matching = {own.eval_id(planned.run): 2.0 for planned in plan.runs for own in planned.evaluations}
    found = savings(wanted, plan, {planned.key: speed for planned in plan.runs}, matching, {})
    assert found.together.training_seconds == pytest.approx(0.5 * (4 * 600 + 50))
    assert found.table_by_table.training_seconds == pytest.approx(0.5 * (6 * 600 + 2 * 50))
    assert found.table_by_table.clip_seconds == pytest.approx(2400 * 0.5 / clips_per_step(OTHER) / 3)
    assert (found.table_by_table.matching_seconds, found.together.matching_seconds) == (2.0 * 6, 2.0 * 4)


def test_tests_of_one_data_set_and_sampling_embed_its_clips_once() -> None:
    tests = [EvalConfig(way=way, shot=shot) for way in (5, 6) for shot in (1, 5)]
    assert embedded(OTHER, tests, SIZES) == 240
    tests += [EvalConfig(dataset="hmdb51"), EvalConfig(frame_sampling="segment-random")]
    assert embedded(OTHER, tests, {**SIZES, ("hmdb51", "test"): 100}) == 240 + 100 + 240
    assert embedded(OTHER, tests, SIZES) is None


def test_val_clips_are_embedded_beside_test_clips() -> None:
    tests = [EvalConfig(split="val"), EvalConfig(split="val", shot=5), EvalConfig()]
    assert embedded(OTHER, tests, SIZES) == 240 + 80


def test_a_method_measured_without_a_head_shares_the_clips_and_one_with_other_steps_does_not() -> None:
    method = OTHER.method
    tests = [EvalConfig(), EvalConfig(method=method.for_test()), EvalConfig(method=tiny.METHODS["sgtm"].for_test())]
    assert embedded(OTHER, tests[:2], SIZES) == 240
    assert embedded(OTHER, tests, SIZES) == 480


def test_where_frames_depend_on_the_episode_every_episode_passes_its_clips() -> None:
    run = find_variants(["vim"])[0].run(laptop64("motionshapes"))
    assert run.method.frame_sampler.by_episode()
    tests = [EvalConfig(episodes=7), EvalConfig(episodes=3, shot=5)]
    assert embedded(run, tests, SIZES) == 7 * 10 + 3 * 30


def test_a_test_clip_takes_a_third_of_its_share_of_a_step() -> None:
    speed = Speed(seconds=3.0, source="measured", where="here")
    assert clip_seconds(OTHER, speed) == pytest.approx(1.0 / clips_per_step(OTHER))
    assert clip_seconds(OTHER, None) == 0
