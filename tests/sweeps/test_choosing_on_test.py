"""Runs whose weights are chosen on test, from the request to the record: refused in a search, announced in a plan."""

from pathlib import Path

import pytest

from fsar_core.config import EvalConfig, Selection
from fsar_core.methods import sgtm
from fsar_core.presets import PRESETS, Recipe
from search_spaces.table import Table
from sweeps.engine import job as jobs
from sweeps.engine.data_faults import Wanted, data_faults
from sweeps.engine.job import carry_out
from sweeps.engine.records import RunFolder
from sweeps.engine.request import Request, search_faults
from sweeps.engine.search_asked import SearchAsked
from tests.fsar_core import tiny
from tests.sweeps.made_folder import launched, refusals, table_of, write_site, write_videos
from tests.sweeps.made_jobs import PRINT, job_of, opened, silent

ON_TEST = Selection(on="test", episodes=20)


def grid(recipe: Recipe) -> Table:
    chosen = recipe.model_copy(update={"selection": ON_TEST})
    return table_of(sgtm.run(chosen, sgtm.baseline(recipe.backbone)))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_search_is_refused_where_a_preset_chooses_on_test(preset: str) -> None:
    recipe = PRESETS[preset]("hmdb51")
    wanted: Wanted = [(sgtm.run(recipe, sgtm.sgtm(recipe.backbone)), None)]
    faults = search_faults(Request(dataset="hmdb51", search=SearchAsked(points=3)), preset, wanted)
    assert bool(faults) == (preset in ("hyrsm", "molo", "vim"))
    for fault in faults:
        assert fault == (
            f"--search looks at val only, but preset '{preset}' chooses weights on test; "
            "search with a preset that does not: clean, trx, strm, laptop, laptop64, smoke, tiny"
        )
    assert search_faults(Request(dataset="hmdb51"), preset, wanted) == []


def test_the_refusal_comes_with_all_other_faults(tmp_path: Path) -> None:
    site = write_site(tmp_path, write_videos(tmp_path / "videos"))
    faults = refusals(launched(site, "--search", "3", "--preset", "molo", "--seeds", "0"))
    assert faults[0].startswith("--seeds must be between")
    assert any(fault.startswith("--search looks at val only") for fault in faults)


def test_a_plan_announces_it(tmp_path: Path) -> None:
    site = write_site(tmp_path, write_videos(tmp_path / "videos"))
    output = " ".join(launched(site, "--dry-run", grid=grid).output.split())
    assert "Weights: chosen on held-out training clips; the best of 4 looks at the test videos (20 episodes" in output
    assert "‡ weights chosen on test: of many looks at the test videos the best was kept" in output
    plain = " ".join(launched(site, "--dry-run").output.split())
    assert "Weights: chosen on held-out training clips; chosen on val (50 episodes each look)" in plain
    assert "‡" not in plain


def test_too_few_test_videos_for_the_looks_are_found_before_the_start() -> None:
    few = tiny.index(per_class=3)
    run = tiny.run("baseline")
    batches = run.batches.model_copy(update={"shot": 3})
    wanted = run.model_copy(update={"selection": ON_TEST, "batches": batches})
    faults = data_faults({"made": few}, [(wanted, None)])
    assert any("test" in fault and "val" not in fault for fault in faults)


def test_a_job_looks_at_test_clips_and_says_so_in_its_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_opened", opened)
    evaluation = EvalConfig(episodes=ON_TEST.episodes)
    run = tiny.run("baseline").model_copy(update={"selection": ON_TEST})
    job = job_of(tmp_path, run).model_copy(update={"missing": (evaluation,)})
    carry_out(job, silent)
    folder = RunFolder(job.folder)
    record, measured = folder.record(), folder.evaluation(evaluation.eval_id(run), PRINT)
    assert record is not None
    assert measured is not None
    assert [point.step for point in record.history if "test/accuracy" in point.metrics] == [2, 4, 6]
    assert not any("val/accuracy" in point.metrics for point in record.history)
    assert record.val_accuracy == measured.accuracy
