"""The report of a plan: what is counted, what is unknown, what the file and the terminal say."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_index import ClipIndex
from sweeps.engine import estimate, footprint
from sweeps.engine.plan import asked, make_plan
from sweeps.engine.plan_report import PlanReport
from sweeps.engine.plan_text import terminal
from sweeps.engine.planning import report
from sweeps.engine.records import Store
from sweeps.engine.savings import Wanted, clip_seconds
from sweeps.engine.site import Site
from tests.fsar_core import tiny
from tests.sweeps.made_plans import FIRST, made_cell, made_site, needing, write_checkpoint
from tests.sweeps.made_records import PRINTS, TRAIN, run_config, write_evaluation, write_run

ONE, TWO = needing(run_config(0.1), FIRST), run_config(0.2, shot=5)


@pytest.fixture
def site(tmp_path: Path, store: Store) -> Site:
    return made_site(tmp_path).model_copy(update={"storage": store.root})


def reported(
    store: Store, site: Site, gpus: int | None = None, *, measured: bool = False, index: ClipIndex | None = None
) -> PlanReport:
    wanted: Wanted = {
        "one": asked([made_cell("a", ONE)], (0, 1)),
        "two": asked([made_cell("a", ONE), made_cell("b", TWO)], (0, 1)),
    }
    plan = make_plan([pair for own in wanted.values() for pair in own], store, PRINTS)
    return report(wanted, plan, site, gpus, measured=measured, indices={} if index is None else {index.dataset: index})


def test_tables_and_totals_count_what_is_known_and_shared(store: Store, site: Site) -> None:
    write_run(store, FIRST)
    write_run(store, ONE)
    write_evaluation(store, ONE, made_cell("a", ONE).evaluation, 0.5)
    write_checkpoint(store.folder(TWO, TRAIN), 100)
    found = reported(store, site)
    one, two = found.tables
    assert (one.cells, one.trainings, one.trainings_known, one.trainings_shared) == (2, 3, 2, 3)
    assert (two.cells, two.trainings, two.evaluations, two.evaluations_known) == (4, 5, 4, 1)
    total = found.totals
    assert (total.cells, total.trainings, total.trainings_known, total.trainings_begun) == (6, 5, 2, 1)
    assert (total.trainings_first, total.trainings_shared, total.evaluations) == (1, 3, 4)
    assert total.steps_left == 600 + 500 + 600
    assert [own.state for own in found.trainings] == ["done", "done", "new", "begun", "new"]


def test_times_come_from_the_record_and_what_nothing_tells_is_in_no_sum(store: Store, site: Site) -> None:
    write_run(store, ONE)  # 600 steps in 6 s
    found = reported(store, site, 1)
    by_seconds = [own.seconds for own in found.trainings]
    assert by_seconds[0] == pytest.approx(0.01 * FIRST.training.steps)
    assert by_seconds[2] == pytest.approx(6)
    assert by_seconds[3:] == [None, None]
    assert found.totals.unknown == 2
    assert found.totals.wall_seconds == pytest.approx(found.totals.seconds)
    assert any("time of 2 trainings: unknown" in line for line in found.sources)


def test_gpus_are_shared_as_the_site_says_and_needs_come_first(store: Store, site: Site) -> None:
    write_run(store, ONE)
    record = store.folder(ONE, TRAIN).record()
    assert record is not None
    gpu = record.environment.model_copy(update={"device": "a GPU"})
    store.folder(ONE, TRAIN).write_record(record.model_copy(update={"environment": gpu}))
    total = reported(store, site.model_copy(update={"gpus_per_run": 0.5}), 2).totals
    assert (total.gpus, total.at_once) == (2, 4)
    assert total.gpu_hours == pytest.approx(0.5 * total.seconds / 3600)
    assert total.wall_seconds == pytest.approx(0.01 * FIRST.training.steps + 6)


def test_tests_take_the_time_of_matching_beside_that_of_embedding(store: Store, site: Site) -> None:
    run = run_config(0.1)
    tests = [EvalConfig(episodes=40), EvalConfig(episodes=40, shot=5)]
    write_run(store, run)  # 600 steps in 6 s
    write_evaluation(store, run, tests[0], 0.5)  # in 1.5 s
    other = run.model_copy(update={"seed": 1})
    wanted: Wanted = {"one": [(own, test) for own in (run, other) for test in tests]}
    plan = make_plan(wanted["one"], store, PRINTS)
    index = ClipIndex.of_clips("motionshapes", tiny.index().clips)
    found = report(wanted, plan, site, measured=False, indices={"motionshapes": index})
    speed = estimate.Speed(seconds=0.01, source="recorded", where="cpu")
    embedding = len(index.of("test")) * clip_seconds(run, speed)
    assert [own.seconds for own in found.trainings] == [
        pytest.approx(embedding),
        pytest.approx(600 * 0.01 + embedding + 1.5),
    ]
    assert found.savings.together.matching_seconds == pytest.approx(2 * 1.5)
    assert "matching of 1 tests: as in recorded tests alike" in found.sources
    assert "matching of 2 tests: unknown, in no sum" in found.sources
    assert (found.totals.unknown, found.totals.tests_unknown) == (0, 2)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(terminal(found, 120))
    text = console.export_text()
    assert "at least" in text
    assert "the matching of 2 tests; no sum above holds it" in text


def test_memory_is_counted_and_speed_measured_once_for_each_kind(
    store: Store, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_a_second(_: RunConfig, __: Site) -> float:
        return 0.5

    monkeypatch.setattr(estimate, "probe", half_a_second)
    total = reported(store, site, measured=True).totals
    assert (total.unknown, total.memory_counted, total.memory_uncounted) == (0, 2, 0)
    assert total.memory_bytes == footprint.step_cost(TWO).peak_bytes
    assert total.memory_verdict == "fits"


def test_disk_holds_checkpoints_records_and_frames_that_are_not_there(store: Store, tmp_path: Path) -> None:
    run = tiny.run("baseline").model_copy(update={"needs": ()})
    site = made_site(tmp_path).model_copy(update={"datasets": {"made": made_site(tmp_path).datasets["motionshapes"]}})
    index = tiny.index()
    plan = make_plan([(run, None)], store, {"made": TRAIN})
    found = report({"t": [(run, None)]}, plan, site, measured=False, indices={"made": index})
    pixels = sum(clip.frames for clip in index.clips) * tiny.SIZE**2 * 3
    assert found.totals.frame_bytes == pytest.approx(pixels, rel=0.5)
    weights = sum(p.numel() for p in run.method.build(frames=4, crop=tiny.CROP, classes=64).parameters())
    assert found.totals.disk_bytes >= 4 * 4 * weights  # weights twice, two moments of Adam


def test_the_file_keeps_its_shape_and_can_be_read_again(store: Store, site: Site) -> None:
    found = reported(store, site)
    content = json.loads(found.json_bytes())
    assert content["version"] == 1
    assert content.keys() == {"version", "tables", "trainings", "totals", "savings", "sources"}
    assert content["trainings"][0].keys() == {
        "key", "run_id", "what", "dataset", "seed", "tables", "needs", "state", "steps", "steps_left", "seconds",
        "seconds_from", "memory_bytes", "disk_bytes", "evaluations",
    }  # fmt: skip
    assert PlanReport.model_validate_json(found.json_bytes()) == found


@pytest.mark.parametrize("width", [100, 150])
def test_the_terminal_says_all_of_it_within_its_width(store: Store, site: Site, width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal(reported(store, site, 8), width))
    text = console.export_text()
    for words in ("5: 0 known, 0 begun; 1 are needed by others first", "at least 0 s with 8 runs at a time", "unknown"):
        assert words in text
    assert max(map(len, text.splitlines())) <= width


def test_nothing_is_launched_or_written(store: Store, site: Site) -> None:
    before = sorted(store.root.rglob("*"))
    reported(store, site)
    assert sorted(store.root.rglob("*")) == before
