"""Sets of cardinalities: each of the fifteen can be drawn, the empty one cannot; the printed numbers at their rows."""

from itertools import combinations, product

import pytest
from optuna.trial import FixedTrial

from fsar_core.config import RunConfig
from fsar_core.matchers import QueryClass, Trx
from fsar_core.presets import Recipe, clean, laptop64
from search_spaces.spaces import all_spaces
from search_spaces.spaces.cardinality import drawn_set, point

RECIPE = laptop64("motionshapes")
SETS = [chosen for size in (1, 2, 3, 4) for chosen in combinations((1, 2, 3, 4), size)]
WORDS = ("singles", "pairs", "triples", "quadruples")


def heads(run: RunConfig) -> list[tuple[tuple[int, ...], float]]:
    matchers = [head.matcher for head in run.method.heads]
    return [(m.cardinalities, m.tuple_fraction) for m in matchers if isinstance(m, Trx.Config | QueryClass.Config)]


@pytest.mark.parametrize("chosen", SETS)
@pytest.mark.parametrize(("method", "number"), [("trx", 1), ("strm", 2)])
def test_each_set_is_a_point_of_either_method(method: str, number: int, chosen: tuple[int, ...]) -> None:
    run = all_spaces()[f"cardinality/{method}"].run(point(chosen, 0.6), RECIPE)
    assert heads(run) == [(chosen, 0.6)] * number


def test_fifteen_sets_are_all_that_the_switches_give() -> None:
    drawn = {drawn_set(FixedTrial(dict(zip(WORDS, on, strict=True))), 8) for on in product((True, False), repeat=4)}
    assert drawn == set(SETS)


def test_without_larger_tuples_single_frames_are_in_undrawn() -> None:
    trial = FixedTrial({"pairs": False, "triples": False, "quadruples": False})
    assert drawn_set(trial, 8) == (1,)
    assert "singles" not in trial.params


@pytest.mark.parametrize(("frames", "largest"), [(1, 1), (2, 2), (3, 3), (4, 4)])
def test_tuples_longer_than_a_clip_are_not_drawn(frames: int, largest: int) -> None:
    trial = FixedTrial(dict.fromkeys(WORDS, True))
    assert drawn_set(trial, frames) == tuple(range(1, largest + 1))


def test_shares_go_from_a_fifth_to_all() -> None:
    space = all_spaces()["cardinality/trx"]
    assert heads(space.run(point((1, 2, 3, 4), 1.0), RECIPE)) == [((1, 2, 3, 4), 1.0)]
    assert heads(space.run(point((1,), 0.2), RECIPE)) == [((1,), 0.2)]
    ids = {space.run(point((2,), share), RECIPE).run_id() for share in (0.6, 0.2 + 0.4)}
    assert len(ids) == 1


@pytest.mark.parametrize("recipe", [RECIPE, clean("kinetics100")], ids=["laptop64", "clean"])
def test_strm_s_grid_has_the_printed_numbers_at_its_five_shot_tests(recipe: Recipe) -> None:
    table = all_spaces()["cardinality/strm"].grid(recipe)
    printed = {
        (cell.row, cell.column): [value.percent for value in cell.published] for cell in table.cells if cell.published
    }
    assert printed["{2}", "5-shot"] == [86.5, 68.1]
    assert printed["{2,3,4}", "5-shot"] == [86.1, 68.1]
    assert len(printed) == 8
    assert {column for _, column in printed} == {"5-shot"}
    assert any("trains 5-shot, these rows 1-shot" in note for note in table.notes)


def test_the_grid_counts_tuples() -> None:
    table = all_spaces()["cardinality/strm"].grid(RECIPE)
    counts = {cell.row: cell.settings["tuples"] for cell in table.cells}
    assert counts["{2}"] == 28
    assert counts["{2,3,4}"] == 154
    assert counts["{2}, 20% of the tuples"] == 6
    assert "grid of ours" in all_spaces()["cardinality/trx"].grid(RECIPE).title
