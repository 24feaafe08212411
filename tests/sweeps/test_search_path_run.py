"""Finals and path as launched: what is trained from which seeds, what is measured, written and said."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from optuna.trial import BaseTrial
from rich.console import Console

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine import sweep
from sweeps.engine.failures import Failure
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.request import Prepared
from sweeps.engine.search_finals import PAPER, VAL, run_finals
from sweeps.engine.search_path_run import gains, run_path
from sweeps.engine.search_path_view import path_markdown, path_rows, path_view
from sweeps.engine.statistics.intervals import difference
from sweeps.engine.watch import Display
from tests.fsar_core import tiny
from tests.sweeps.made_launch import Outcome, succeed
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import ratio_table, run_config

_WEIGHT = {"a": 0.1, "b": 0.01, "c": 0.001}
PAPER_POINT = {"a": 0, "b": 0, "c": 0}
BEST = {"a": 1, "b": 1, "c": 1}


def define(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(1 + sum(own * trial.suggest_int(name, 0, 1) for name, own in _WEIGHT.items()))


SPACE = Space(name="made", define=define, first=(PAPER_POINT,), grid=lambda _: ratio_table())
Plans = Callable[[Outcome], list[Plan]]


def on(run: RunConfig) -> dict[str, int]:
    lam = run.method.model_dump()["heads"][0]["matcher"]["lam"]
    return {name: round(lam * 1000) // scale % 10 for name, scale in {"a": 100, "b": 10, "c": 1}.items()}


def skill(run: RunConfig) -> float:
    """0.4, and more for a (10 points) than for c (5) and b (2); each seed adds a little."""
    own = on(run)
    return 0.4 + 0.1 * own["a"] + 0.02 * own["b"] + 0.05 * own["c"] + 0.002 * run.seed


def measured(planned: PlannedRun, plan: Plan) -> None:
    succeed(planned, plan)
    for own in planned.missing:
        record = planned.folder.evaluation(own.eval_id(planned.run), plan.fingerprints["motionshapes"])
        assert record is not None
        asked = own.way * own.queries
        right = np.random.default_rng(own.seed).binomial(asked, skill(planned.run), own.episodes)
        changed = record.model_copy(update={"accuracy": float(right.mean() / asked)})
        planned.folder.write_evaluation(own.eval_id(planned.run), changed, right)


@pytest.fixture
def prepared(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setattr(sweep, "decode", lambda plan, prepared, display: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - reads nothing
    return Prepared(
        site=made_site(tmp_path).model_copy(update={"tracking_uri": uri}),
        dataset="motionshapes",
        recipe_of=lambda _: tiny.recipe(),
        preset="smoke",
        indices={"motionshapes": tiny.index()},
        seeds=(0,),
        fresh=False,
        masks={},
        absent=(),
    )


@pytest.fixture
def display() -> Display:
    return Display(Console(file=io.StringIO()))


def launched(plans: list[Plan]) -> list[tuple[dict[str, int], int, list[str]]]:
    """Of each run that was launched: what is on, its seed, and on which splits it was measured."""
    return [
        (on(planned.run), planned.run.seed, [own.split for own in planned.missing])
        for plan in plans
        for planned in plan.todo()
    ]


def test_finals_have_three_seeds_and_train_only_what_is_new(prepared: Prepared, display: Display, plans: Plans) -> None:
    seen = plans(measured)
    found = run_finals(prepared, SPACE, [BEST, {**PAPER_POINT, "b": 1}], display, seeds=1)
    assert sorted({seed for _, seed, _ in launched(seen)}) == [0, 1, 2]
    assert len(launched(seen)) == 9
    assert (found.point, found.verdict.row, found.verdict.better) == (BEST, "a 1, b 1, c 1", True)
    files = {path.name for path in found.ended.sweep.folder("search/made/finals").iterdir()}
    assert {"table.md", "table.csv", "plot.png"} <= files
    assert found.ended.trouble is None
    again = run_finals(prepared, SPACE, [BEST], display)
    assert len(seen) == 1
    assert again.result.table.rows() == (PAPER, "a 1, b 1, c 1")


def test_a_path_tries_with_one_seed_on_val_alone_and_reports_with_three(
    prepared: Prepared, display: Display, plans: Plans, uri: str
) -> None:
    plans(measured)
    run_finals(prepared, SPACE, [BEST], display)
    seen = plans(measured)
    path = run_path(prepared, SPACE, BEST, {}, display)
    assert path is not None
    assert [step.words for step in path.way.steps] == ["a 1", "c 1", "b 1"]
    tried = [({"a": 1, "b": 0, "c": 0}), ({"a": 0, "b": 1, "c": 0}), ({"a": 0, "b": 0, "c": 1})]
    assert launched(seen[:1]) == [(own, 0, ["val"]) for own in tried]
    assert launched(seen[1:2]) == [({"a": 1, "b": 1, "c": 0}, 0, ["val"]), ({"a": 1, "b": 0, "c": 1}, 0, ["val"])]
    assert [(seed, splits) for _, seed, splits in launched(seen[2:])] == [
        *((0, ["test"]), (1, ["val", "test"]), (2, ["val", "test"])) * 2
    ]
    assert path.result.table.rows() == (PAPER, "+ a 1", "+ c 1", "+ b 1")
    names = [experiment.name for experiment in MlflowClient(uri).search_experiments()]
    assert {"search/made/finals", "search/made/path"} <= {*names}
    before = len(seen)
    assert run_path(prepared, SPACE, BEST, {}, display) is not None
    assert len(seen) == before


def test_gains_are_paired_to_the_row_before_and_said_as_such(
    prepared: Prepared, display: Display, plans: Plans
) -> None:
    plans(measured)
    path = run_path(prepared, SPACE, {**PAPER_POINT, "a": 1, "c": 1}, {}, display)
    assert path is not None
    first, second = gains(path.result)
    assert first is not None
    assert second is not None
    rows = [row.outcomes((0, 1, 2)) for row in path.result.column(VAL)]
    assert rows[1] is not None
    assert rows[2] is not None
    assert second.value == pytest.approx(difference(rows[2], rows[1]).value)
    assert second.covers == "seeds and episodes"
    lines = path_rows(path)
    assert [line[0] for line in lines] == [PAPER, "+ a 1", "+ c 1"]
    assert lines[0][2] == ""
    assert lines[2][2].startswith(f"+{100 * second.value:.2f} ± ")
    text = path_markdown(path)
    assert text.splitlines()[:2] == ["| change | val % | gain, points | test % |", "| :-- | --: | --: | --: |"]
    assert "over 3 seeds and 2,000 val episodes" in text
    assert "- Step 1 was chosen among: a 1 " in text
    assert "Step 2" not in text  # the last change is no choice
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(path_view(path))
    assert "+ c 1" in console.export_text()


def test_a_path_from_the_papers_setting_to_itself_is_none(prepared: Prepared, display: Display, plans: Plans) -> None:
    seen = plans(measured)
    assert run_path(prepared, SPACE, PAPER_POINT, {}, display) is None
    assert seen == []


def test_a_point_of_the_path_that_fails_is_shown_as_failed_without_a_gain(
    prepared: Prepared, display: Display, plans: Plans
) -> None:
    def second_seed_fails(planned: PlannedRun, plan: Plan) -> None:
        if planned.run.seed == 1 and on(planned.run) == {"a": 1, "b": 0, "c": 0}:
            planned.folder.path.mkdir(parents=True)
            planned.folder.write_failure(Failure(traceback="Traceback: out of luck"))
        else:
            measured(planned, plan)

    plans(second_seed_fails)
    path = run_path(prepared, SPACE, {**PAPER_POINT, "a": 1, "c": 1}, {}, display)
    assert path is not None
    assert [row[1] for row in path_rows(path)][1] == "failed, 2/3 seeds"
