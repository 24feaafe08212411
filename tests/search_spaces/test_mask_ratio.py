"""The first sweep: its grid holds the printed numbers at their cells, and every point of its space is a run."""

import optuna
import pytest
from optuna.trial import FixedTrial

from fsar_core.config import RunConfig
from fsar_core.losses import MaskedReconstruction
from fsar_core.losses.frame_masking import masked_frames
from fsar_core.methods import sgtm
from fsar_core.presets import PRESETS, Recipe, clean, laptop
from search_spaces.spaces.mask_ratio import SPACES, grid
from search_spaces.table import Table

PRINTED = {
    ("baseline", "1-shot"): 74.37,
    ("baseline", "5-shot"): 86.81,
    ("encoder only", "1-shot"): 74.50,
    ("encoder only", "5-shot"): 86.87,
    ("random 50%", "1-shot"): 74.94,
    ("random 50%", "5-shot"): 87.15,
    ("saliency 50%", "1-shot"): 75.18,
    ("saliency 50%", "5-shot"): 87.18,
}
SPACE = SPACES[0]
GUIDED = ("saliency 25%", "saliency 50%", "saliency 75%")


@pytest.fixture(scope="module", params=["laptop", "clean"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return PRESETS[request.param]("motionshapes" if request.param == "laptop" else "kinetics100")


@pytest.fixture(scope="module")
def table(recipe: Recipe) -> Table:
    return grid(recipe)


def masking(run: RunConfig) -> MaskedReconstruction.Config | None:
    found = [loss for loss in run.method.losses if isinstance(loss, MaskedReconstruction.Config)]
    return found[0] if found else None


def test_the_grid_has_twenty_cells_on_nine_trainings(table: Table) -> None:
    assert len(table.cells) == 20
    assert len({cell.run.run_id() for cell in table.cells}) == 9
    assert table.columns() == ("1-shot", "5-shot")
    assert len(table.rows()) == 10
    assert [cell.evaluation.shot for cell in table.cells] == [1, 5] * 10
    assert table.reference == "baseline"


def test_the_printed_numbers_stand_at_their_cells_and_nowhere_else(table: Table) -> None:
    found = {(cell.row, cell.column): cell.published[0].percent for cell in table.cells if cell.published}
    assert found == PRINTED
    assert {cell.published[0].source for cell in table.cells if cell.published} == {"SGTM, table 3"}


def test_every_row_trains_what_it_says(table: Table) -> None:
    by_row = {cell.row: cell for cell in table.cells}
    assert masking(by_row["baseline"].run) is None
    assert [step.name for step in by_row["baseline"].run.method.steps] == ["pooled", "matching"]
    assert masking(by_row["encoder only"].run) is None
    for row, cell in by_row.items():
        if "%" not in row:
            continue
        loss, ratio = masking(cell.run), cell.settings["ratio"]
        assert loss is not None
        assert (loss.ratio, loss.weight) == (ratio, 0.5)
        assert row == f"{cell.settings['mask']} {ratio:.0%}"
        guided = {"random": "random", "saliency": "ambiguous_visible"}[str(cell.settings["mask"])]
        assert loss.strategy == (guided if ratio else "none")


def test_without_masked_frames_both_kinds_of_mask_are_one_training(table: Table) -> None:
    ids = {cell.row: cell.run.run_id() for cell in table.cells}
    assert ids["random 0%"] == ids["saliency 0%"]


def test_only_guided_rows_need_class_scores_and_all_need_the_same(table: Table) -> None:
    scored = {cell.row: [need for need in cell.run.needs if need.target == "losses.0.guide"] for cell in table.cells}
    assert {row for row, needs in scored.items() if needs} == set(GUIDED)
    assert len({need.run.run_id() for needs in scored.values() for need in needs}) == 1


def test_all_rows_share_what_their_backbone_needs(recipe: Recipe, table: Table) -> None:
    for cell in table.cells:
        assert tuple(need for need in cell.run.needs if need.target == "backbone") == recipe.needs
    ids = {need.run.run_id() for cell in table.cells for need in cell.run.needs if need.target == "backbone"}
    scores = [need.run for cell in table.cells for need in cell.run.needs if need.target == "losses.0.guide"]
    assert {need.run.run_id() for own in scores for need in own.needs} == ids


def test_the_rows_differ_in_their_method_only(recipe: Recipe, table: Table) -> None:
    one = {"method": sgtm.baseline(recipe.backbone), "needs": ()}
    assert len({cell.run.model_copy(update=one).run_id() for cell in table.cells}) == 1


def test_points_drawn_from_the_space_are_runs_with_a_visible_frame(recipe: Recipe) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen: set[tuple[str, int]] = set()
    for _ in range(200):
        trial = study.ask()
        run = SPACE.define(trial, recipe)
        loss = masking(run)
        assert loss is not None
        assert RunConfig.model_validate_json(run.model_dump_json()) == run
        hidden = masked_frames(loss.strategy, loss.ratio, recipe.data.frames)
        assert hidden == next(value for name, value in trial.params.items() if name.startswith("masked_in"))
        assert 0 < hidden < recipe.data.frames
        assert loss.strategy == trial.params["region"]
        assert loss.weight == pytest.approx(trial.params["lambda"])
        assert bool(run.needs[len(recipe.needs) :]) == (loss.strategy != "random")
        seen.add((loss.strategy, hidden))
        study.tell(trial, 0.0)
    assert len(seen) == 4 * 7 + 3


@pytest.mark.parametrize("frames", [3, 4, 5, 7])
def test_every_number_of_frames_has_points(frames: int) -> None:
    recipe = laptop("motionshapes")
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"frames": frames}), "needs": ()})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        assert SPACE.define(study.ask(), recipe).data.frames == frames


def test_the_paper_s_point_is_the_paper_s_method(recipe: Recipe) -> None:
    paper = sgtm.run(recipe, sgtm.sgtm(recipe.backbone))
    fixed = FixedTrial({"region": "ambiguous_visible", "masked_in_2s": 4, "lambda": 0.5})
    assert SPACE.define(fixed, recipe) == paper
    assert [SPACE.define(FixedTrial(dict(point)), recipe) for point in SPACE.first] == [paper]
    cells = [cell.run for cell in grid(recipe).cells if cell.row == "saliency 50%"]
    assert cells == [paper, paper]


def test_a_number_that_floats_cannot_hold_does_not_make_another_run() -> None:
    recipe = clean("kinetics100")
    point = {"region": "random", "masked_in_1s": 2}
    ids = {SPACE.define(FixedTrial(point | {"lambda": value}), recipe).run_id() for value in (0.3, 0.1 + 0.2)}
    assert len(ids) == 1
