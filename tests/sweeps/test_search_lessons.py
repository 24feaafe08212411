"""What a search found and taught, as numbers, in sentences and in the terminal."""

import io

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from rich.console import Console

from search_spaces.papers.printed import printed_tables
from search_spaces.space import Point
from sweeps.engine.search_importance import MEASURES, BranchImportance, Importance
from sweeps.engine.search_lessons import Lessons, changes, learn
from sweeps.engine.search_printed import printed_words
from sweeps.engine.search_study import RECORDED, accuracy, best_first, cost_of
from sweeps.engine.search_view import show
from sweeps.engine.search_words import compared, headline, importance_sentence, sentences
from tests.sweeps.made_studies import add_twin, conditional, made_space, make_study


@pytest.fixture(autouse=True)
def few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"PED-ANOVA": (10, 10, 1), "fANOVA": (3, 3, 1)}
    monkeypatch.setattr("sweeps.engine.search_importance._REPETITIONS", few)


def shown(study: optuna.Study, lessons: Lessons, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show(study, lessons, console)
    return console.export_text()


def test_the_best_point_stands_beside_the_papers_setting() -> None:
    study = make_study(20, first={"region": "top", "masked": 4, "lambda": 0.5})
    lessons = learn(study, made_space({"region": "top", "masked": 4, "lambda": 0.5}))
    assert lessons.best is not None
    assert lessons.paper is not None
    assert lessons.paper.number == 0
    assert accuracy(lessons.best) == max(accuracy(trial) for trial in lessons.results())
    gained = 100 * (accuracy(lessons.best) - accuracy(lessons.paper))
    assert f"{gained:+.1f} points against the paper's setting" in headline(lessons)
    assert headline(lessons).endswith(f"%: {'; '.join(lessons.changes)}.")


def test_no_comparison_is_made_with_a_setting_that_has_not_finished() -> None:
    study = make_study(8)
    lessons = learn(study, made_space({"region": "top", "masked": 1, "lambda": 1.0}))
    assert lessons.paper is None
    assert "The paper's setting has not finished; nothing is compared with it." in headline(lessons)


def test_a_best_point_that_is_the_papers_setting_is_called_so() -> None:
    assert headline(learn(make_study(20), made_space())).endswith("That is the paper's setting.")


def test_changes_name_what_differs_and_what_comes_or_goes() -> None:
    before: Point = {"region": "saliency", "pairs": 2, "lambda": 0.1 + 0.2}
    after: Point = {"region": "random", "frames": 3, "lambda": 0.3}
    assert changes(before, after) == ("region saliency → random", "without pairs", "frames 3 comes in")


def test_what_was_tried_is_counted_once() -> None:
    study = make_study(12)
    add_twin(study, study.trials[1])
    failed = create_trial(
        state=TrialState.FAIL, params=study.trials[2].params, distributions=study.trials[2].distributions
    )
    study.add_trial(failed)
    study.ask()
    recorded = study.trials[3]
    known = create_trial(
        params=recorded.params, distributions=recorded.distributions, value=0.4,
        user_attrs={"run": "f" * 32, RECORDED: True},
    )  # fmt: skip
    study.add_trial(known)
    words = learn(study, made_space()).tried.words()
    assert words == (
        "11 finished (1 recorded before), 2 stopped early, 1 failed, 1 proposed again and not trained again"
    )


def test_the_front_holds_finished_points_that_no_other_beats() -> None:
    lessons = learn(make_study(20, cost=True), made_space())
    places = [(cost_of(trial) or 0.0, accuracy(trial)) for trial in lessons.results()]
    on_front = {trial.number for trial in lessons.front}
    for trial, (cost, value) in zip(lessons.results(), places, strict=True):
        beaten = any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in places)
        assert (trial.number in on_front) is not beaten
    costs = [cost_of(trial) for trial in lessons.front]
    assert costs == sorted(costs, key=lambda cost: cost or 0.0)


def test_the_papers_grid_is_told_from_its_printed_numbers() -> None:
    (line,) = printed_words(["sgtm/table5"])
    kinetics = [cell for cell in printed_tables()["sgtm/table5"].cells if cell.dataset == "Kinetics"]
    best = max(kinetics, key=lambda cell: float(cell.value))
    assert line.startswith(
        "SGTM, table 5 (weight of the reconstruction loss, 1-shot), on test: Kinetics 5-way 1-shot: "
    )
    assert f"{best.row} is the best of six ({best.value}), 0.4 points from the worst to the best" in line
    assert printed_words(["sgtm/fig4"]) == ("sgtm/fig4: no numbers are printed",)


def test_every_printed_table_has_words() -> None:
    assert all(line.count(": ") >= 1 for line in printed_words(printed_tables()))


def test_what_was_found_stands_behind_the_papers_grid() -> None:
    lessons = learn(make_study(20), made_space(printed=("sgtm/table3", "sgtm/table5")))
    first, second = compared(lessons)
    assert "here" not in first
    assert second.endswith("; here the best of 16 on val is region saliency, masked 4, lambda 0.5, 61.9 %.")


def test_overlapping_intervals_leave_the_rank_open() -> None:
    lines = [line for line in sentences(learn(make_study(20), made_space())) if line.startswith("Mattered most")]
    assert len(lines) == 1
    assert "masked by PED-ANOVA (0." in lines[0]
    assert lines[0].endswith("; by PED-ANOVA the intervals overlap, so that the rank may be chance.")


@pytest.mark.parametrize(
    ("second", "open_end"),
    [
        (0.69, ""),
        (0.7, "; by PED-ANOVA and fANOVA the intervals overlap, so that the rank may be chance"),
    ],
)
def test_a_rank_is_settled_where_the_first_interval_begins_above_the_second(second: float, open_end: str) -> None:
    shares = [
        one
        for measure in MEASURES
        for one in (Importance("lambda", measure, 0.2, 0.1, second), Importance("masked", measure, 0.8, 0.7, 0.9))
    ]
    top = "masked by PED-ANOVA (0.80, interval 0.70 to 0.90), masked by fANOVA (0.80, interval 0.70 to 0.90)"
    said = importance_sentence(BranchImportance("", 20, tuple(shares)))
    assert said == f"Mattered most (20 finished points): {top}{open_end}."


def test_points_stand_as_in_the_study_from_the_best_down_and_those_at_work_last() -> None:
    study = make_study(12)
    for _ in range(2):
        study.ask().set_user_attr("run", "a")
    lessons = learn(study, made_space())
    assert lessons.points == tuple(best_first(study))
    states = [trial.state for trial in lessons.points]
    assert states == [TrialState.COMPLETE] * 10 + [TrialState.PRUNED] * 2 + [TrialState.RUNNING] * 2


def test_a_study_without_a_finished_point_is_shown() -> None:
    study = make_study(0)
    lessons = learn(study, made_space(printed=("sgtm/table5",)))
    text = shown(study, lessons, 100)
    assert "No point has finished yet." in text
    assert "SGTM, table 5" in text


@pytest.mark.parametrize("width", [100, 150])
def test_the_terminal_marks_stopped_points_and_the_front(width: int) -> None:
    study = make_study(14, cost=True)
    lessons = learn(study, made_space())
    text = shown(study, lessons, width)
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert max(map(len, text.splitlines())) <= width
    assert sum("stopped at step 100" in row for row in rows) == lessons.tried.stopped == 3
    assert sum("front" in row for row in rows) == len(lessons.front)
    assert next(row for row in rows if "paper's setting" in row).split("│")[1].strip() == "0"
    assert "GFLOP" in text
    assert text.count("█") > 10


def test_many_parameters_share_a_column_of_a_narrow_terminal() -> None:
    study = make_study(12, conditional, first={})
    lessons = learn(study, made_space({}))
    assert "│ parameters" in shown(study, lessons, 80).replace("┃", "│")
    assert "┃ learning_rate ┃ method ┃" in shown(study, lessons, 150)
