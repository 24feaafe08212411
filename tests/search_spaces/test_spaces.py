"""What every space promises: its points are runs, each its own, the paper's among them, and rows of the grid."""

import optuna
import pytest

from fsar_core.config import RunConfig
from fsar_core.methods import all_methods
from fsar_core.presets import PAPER_DATASETS, PRESETS, Recipe, clean, laptop, laptop64
from search_spaces.papers.printed import printed_tables
from search_spaces.space import Space
from search_spaces.spaces import all_spaces

RECIPES = {"laptop64": laptop64("motionshapes"), "clean": clean("kinetics100")}
STARTS = {"mask_ratio": "sgtm", "joint": "protonet"}
"""The paper's method of spaces whose name does not end with it."""

each_space = pytest.mark.parametrize("name", all_spaces())
each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def own_run(name: str, recipe: Recipe) -> RunConfig:
    """The paper's training as its module has it."""
    variant = STARTS.get(name, name.rpartition("/")[2])
    method = all_methods()["frame_matching" if variant in ("otam", "protonet") else variant]
    return method.run(recipe, method.variants[variant](recipe.backbone))


def sampled(space: Space, recipe: Recipe) -> dict[tuple[tuple[str, object], ...], RunConfig]:
    """The runs of 200 random points, by point."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found: dict[tuple[tuple[str, object], ...], RunConfig] = {}
    for _ in range(200):
        trial = study.ask()
        run = space.define(trial, recipe)
        found[tuple(sorted(trial.params.items()))] = run
        study.tell(trial, 0.0)
    return found


@each_recipe
@each_space
def test_two_hundred_points_are_runs_and_different_points_different_runs(name: str, recipe: Recipe) -> None:
    runs = sampled(all_spaces()[name], recipe)
    assert len({run.run_id() for run in runs.values()}) == len(runs)
    for point, run in runs.items():
        assert RunConfig.model_validate_json(run.canonical_json()) == run
        assert all_spaces()[name].run(dict(point), recipe) == run  # pyright: ignore[reportArgumentType] - values of a trial


@each_recipe
@each_space
def test_a_search_starts_from_the_paper_s_own_training(name: str, recipe: Recipe) -> None:
    space = all_spaces()[name].at(recipe)
    first = [space.run(point, recipe).run_id() for point in space.first]
    assert first[0] == own_run(name, recipe).run_id()
    assert len(set(first)) == len(first)


@each_recipe
@each_space
def test_points_said_to_be_rows_of_the_grid_are_trainings_of_it(name: str, recipe: Recipe) -> None:
    space = all_spaces()[name].at(recipe)
    table = space.grid(recipe)
    trained = {cell.run.run_id() for cell in table.cells}
    points = [space.run(point, recipe).run_id() for point in (*space.grid_points, *space.first[:1])]
    assert set(points) <= trained
    assert len(set(points[:-1])) == len(points[:-1])
    assert own_run(name, recipe).run_id() in {cell.run.run_id() for cell in table.cells if _is_paper_s(cell.row, name)}


def _is_paper_s(row: str, name: str) -> bool:
    words = {
        "mask_ratio": "saliency 50%",
        "joint": "ProtoNet",
        "cardinality/trx": "{2,3}",
        "cardinality/strm": "{2}",
        "loss_weights/sgtm": "λ=0.5",
        "loss_weights/strm": "loss 0.1, score 0.1",
        "loss_weights/vim": "mu1=0.5, mu2=1",
    }
    if name == "loss_weights/i2st":
        return row in ("λ=0.2", "λ=0.4")  # by data set
    return row == words.get(name, "T=8")


@each_space
def test_the_runs_of_a_space_share_the_pretrained_backbone(name: str) -> None:
    recipe = RECIPES["laptop64"]
    wanted = {need.run.run_id() for need in recipe.needs}
    for run in sampled(all_spaces()[name], recipe).values():
        assert {need.run.run_id() for need in run.needs if need.target == "backbone"} == wanted


@each_space
def test_a_parameter_that_is_a_word_or_a_switch_always_has_the_same_choices(name: str) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    choices: dict[str, set[tuple[object, ...]]] = {}
    for _ in range(60):
        trial = study.ask()
        all_spaces()[name].define(trial, RECIPES["clean"])
        for parameter, distribution in trial.distributions.items():
            if isinstance(distribution, optuna.distributions.CategoricalDistribution):
                choices.setdefault(parameter, set()).add(distribution.choices)
        study.tell(trial, 0.0)
    assert all(len(found) == 1 for found in choices.values())


@each_space
def test_printed_tables_of_a_space_exist(name: str) -> None:
    assert set(all_spaces()[name].printed) <= set(printed_tables())
    assert all_spaces()[name].name == name


def test_costs_are_weighed_where_the_papers_speak_of_them() -> None:
    weighed = {name.partition("/")[0] for name, space in all_spaces().items() if space.cost == "gflops"}
    assert weighed == {"cardinality", "frame_count", "joint"}


@pytest.mark.parametrize("dataset", PAPER_DATASETS)
@pytest.mark.parametrize("preset", ["clean", "trx", "strm", "hyrsm", "molo"])
def test_every_preset_and_data_set_has_its_first_points_inside_the_space(preset: str, dataset: str) -> None:
    recipe = PRESETS[preset](dataset)
    for name, space in all_spaces().items():
        at = space.at(recipe)
        assert at.run(at.first[0], recipe).run_id() == own_run(name, recipe).run_id()


def test_vim_s_spaces_refuse_small_crops_with_the_reason() -> None:
    recipe = laptop("motionshapes")
    for name in ("loss_weights/vim", "frame_count/vim"):
        space = all_spaces()[name]
        with pytest.raises(ValueError, match="4 x 4 cells"):
            space.run(space.first[0], recipe)
