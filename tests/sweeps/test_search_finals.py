"""The finals of a search: what is trained and compared, and when a point is called better."""

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import BaseTrial, TrialState, create_trial

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Space
from search_spaces.table import Table
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.search_finals import PAPER, TEST, VAL, candidates, finals_table, val_way, verdict, words
from sweeps.engine.search_study import KEY
from tests.fsar_core import tiny
from tests.sweeps.made_records import PRINTS, ratio_table, run_config, write_outcomes, write_run

RECIPE = tiny.recipe()


def define(trial: BaseTrial, _: Recipe) -> RunConfig:
    return run_config(trial.suggest_float("lam", 0.1, 1.0))


SPACE = Space(name="made", define=define, first=({"lam": 0.5},), grid=lambda _: ratio_table())


def study_of(*points: tuple[float, float | None, float | None]) -> optuna.Study:
    """From (lam, accuracy, cost); without an accuracy the point was stopped."""
    several = any(cost is not None for _, _, cost in points)
    directions = [StudyDirection.MAXIMIZE, *([StudyDirection.MINIMIZE] if several else [])]
    study = optuna.create_study(directions=directions)
    for i, (lam, accuracy, cost) in enumerate(points):
        values = None if accuracy is None else [accuracy, *([] if cost is None else [cost])]
        made = create_trial(
            state=TrialState.PRUNED if values is None else TrialState.COMPLETE,
            params={"lam": lam},
            distributions={"lam": FloatDistribution(0.1, 1.0)},
            values=values,
            user_attrs={KEY: str(i)},
        )
        study.add_trial(made)
    return study


def lams(study: optuna.Study, most: int) -> list[object]:
    return [point["lam"] for point in candidates(study, SPACE, RECIPE, most)]


def table(*points: float) -> Table:
    return finals_table(SPACE, RECIPE, [{"lam": lam} for lam in points], val_way=5)


def result(
    store: Store, own: Table, levels: dict[str, tuple[float, ...]], *, unfinished: tuple[str, ...] = ()
) -> TableResult:
    """Accuracy by row and seed, on val; on test everything is at chance."""
    seeds = tuple(range(len(next(iter(levels.values())))))
    for cell in own.cells:
        e = cell.evaluation
        for seed in seeds:
            run = cell.run.with_seed(seed)
            if cell.row in unfinished:
                continue
            write_run(store, run, points=1)
            level = levels[cell.row][seed] if cell.column == VAL else 0.2
            right = np.random.default_rng(seed).permutation(e.episodes) < round(
                e.way * e.queries * level % 1 * e.episodes
            )
            write_outcomes(store, run, e, (int(e.way * e.queries * level) + right).astype(np.int64))
    return collect(own, seeds, store, PRINTS)


def test_candidates_are_the_best_finished_points_but_the_papers() -> None:
    study = study_of((0.5, 0.9, None), (0.2, 0.5, None), (0.3, None, None), (0.4, 0.7, None), (0.6, 0.6, None))
    assert lams(study, 2) == [0.4, 0.6]
    assert lams(study, 9) == [0.4, 0.6, 0.2]


def test_with_a_cost_candidates_are_those_that_none_beats_in_both() -> None:
    study = study_of((0.5, 0.9, 1.0), (0.2, 0.8, 5.0), (0.3, 0.8, 4.0), (0.4, 0.7, 4.5), (0.6, 0.6, 3.0))
    assert lams(study, 9) == [0.3, 0.6]
    assert lams(study, 1) == [0.3]


def test_the_table_has_the_papers_setting_and_each_other_run_once() -> None:
    own = table(0.25, 0.5, 0.25, 0.75)
    assert own.name == "search/made/finals"
    assert own.rows() == (PAPER, "lam 0.25", "lam 0.75")
    assert own.reference == PAPER
    assert own.columns() == (VAL, TEST)
    assert [cell.settings for cell in own.cells if cell.column == VAL] == [{"lam": lam} for lam in (0.5, 0.25, 0.75)]


def test_val_is_measured_on_episodes_by_which_nothing_was_chosen() -> None:
    on_val, on_test = (cell.evaluation for cell in table(0.25).cells[:2])
    assert (on_val.split, on_val.way, on_val.episodes) == ("val", 5, min(2_000, RECIPE.test_episodes))
    assert on_val.seed != run_config().selection.seed
    assert (on_test.split, on_test.episodes, on_test.seed) == ("test", RECIPE.test_episodes, 0)
    assert val_way(tiny.index()) == 5


def test_points_are_named_by_what_differs() -> None:
    assert words({"region": "top", "lambda": 0.35, "same": 1}, {"region": "all", "lambda": 0.5, "same": 1}) == (
        "region top, lambda 0.35"
    )
    close = [words({"lr": lr}, {"lr": 0.1}, exact=True) for lr in (0.00123456789, 0.00123456788)]
    assert close[0] != close[1]


def test_a_large_lead_in_every_seed_is_better_and_test_has_no_say(store: Store) -> None:
    levels = {PAPER: (0.40, 0.41, 0.40), "lam 0.25": (0.50, 0.51, 0.50), "lam 0.75": (0.45, 0.44, 0.45)}
    found = verdict(result(store, table(0.25, 0.75), levels))
    assert (found.row, found.better) == ("lam 0.25", True)
    assert found.words.startswith("“lam 0.25” is better than the paper's setting on val: +10.00 ± ")
    assert "corrected (Holm) for 2 candidates" in found.words
    assert "over 3 seeds and 2,000 episodes" in found.words
    assert found.words.endswith("On test, which decides nothing, 20.00 against 20.00 %.")


def test_a_lead_within_the_spread_of_seeds_is_not_told_apart(store: Store) -> None:
    levels = {PAPER: (0.40, 0.44, 0.42), "lam 0.25": (0.46, 0.41, 0.42)}
    found = verdict(result(store, table(0.25), levels))
    assert (found.row, found.better) == ("lam 0.25", False)
    assert "is not told apart from the paper's setting by 3 seeds" in found.words
    assert "Holm" not in found.words


def test_a_paper_setting_that_leads_is_said_to_lead(store: Store) -> None:
    found = verdict(result(store, table(0.25), {PAPER: (0.5, 0.5, 0.5), "lam 0.25": (0.4, 0.41, 0.4)}))
    assert (found.row, found.better) == (PAPER, False)
    assert found.words.startswith(
        "No candidate is ahead of the paper's setting on val; the nearest, “lam 0.25”, has −9.67"
    )


def test_fewer_than_three_seeds_give_no_verdict(store: Store) -> None:
    found = verdict(result(store, table(0.25), {PAPER: (0.3, 0.3), "lam 0.25": (0.6, 0.6)}))
    assert (found.row, found.better, found.words) == (
        "lam 0.25",
        False,
        "No verdict: 2 seeds were trained, and it takes 3.",
    )


def test_candidates_without_a_result_are_told(store: Store) -> None:
    levels = {PAPER: (0.40, 0.41, 0.40), "lam 0.25": (0.50, 0.51, 0.50)}
    found = verdict(result(store, table(0.25, 0.75), levels, unfinished=("lam 0.75",)))
    assert found.better
    assert found.words.endswith("1 of 2 candidates have no result.")


@pytest.mark.parametrize(
    ("unfinished", "why"),
    [(PAPER, "the paper's setting has no result"), ("lam 0.25", "no other point has a result")],
)
def test_nothing_to_compare_gives_no_verdict(store: Store, unfinished: str, why: str, tmp_path: Path) -> None:
    levels = {PAPER: (0.4, 0.4, 0.4), "lam 0.25": (0.5, 0.5, 0.5)}
    found = verdict(result(store, table(0.25), levels, unfinished=(unfinished,)))
    assert (found.row, found.better, found.words.startswith(f"No verdict: {why}.")) == (PAPER, False, True)
