"""The page, the pictures and the files of a search."""

import csv
import io

import pytest

from sweeps.engine.search_files import search_files
from sweeps.engine.search_lessons import learn
from sweeps.engine.search_page import page
from sweeps.engine.search_study import accuracy
from tests.sweeps.made_studies import conditional, made_space, make_study


@pytest.fixture(autouse=True)
def few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"PED-ANOVA": (5, 5, 1), "fANOVA": (2, 2, 1)}
    monkeypatch.setattr("sweeps.engine.search_importance._REPETITIONS", few)


def test_the_page_ranks_finished_points_and_marks_the_others() -> None:
    study, space = make_study(14, cost=True), made_space(printed=("sgtm/table5",))
    lessons = learn(study, space)
    text = page(study, space, lessons, ["#### Finals\n\nnothing is settled"], room=None)
    ranking = text.split("#### Points")[1].split("####")[0]
    rows = [line for line in ranking.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 14
    assert ["stopped at step 100" in row for row in rows] == [False] * 11 + [True] * 3
    assert rows[0].startswith("| 0 (paper's setting) | ")
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == [
        "### Search made on hmdb51", "#### Finals", "#### Points, the best on val first",
        "#### What mattered for val accuracy",
        "#### Accuracy against operations of a 5-way 1-shot test episode (GFLOP)",
        "#### The papers' own grid", "#### To read this",
    ]  # fmt: skip


def test_a_page_that_is_too_long_says_how_many_points_are_elsewhere() -> None:
    study, space = make_study(130), made_space()
    lessons = learn(study, space)
    text = page(study, space, lessons, room=4000)
    shown = sum(line.startswith("| ") for line in text.split("#### Points")[1].split("####")[0].splitlines()) - 2
    assert 3000 < len(text) <= 4000
    assert f"and {130 - shown} more in trials.csv" in text
    assert "#### To read this" in text
    whole = page(study, space, lessons, room=None)
    assert "and 30 more in trials.csv" in whole


def test_a_section_that_is_too_long_is_cut_at_a_line_with_a_word() -> None:
    study, space = make_study(6), made_space()
    text = page(study, space, learn(study, space), ["a line\n" * 500], room=1000)
    assert len(text) <= 1000
    assert text.endswith("a line\n\nThe rest stands in page.md.\n")


@pytest.mark.parametrize("room", range(700, 2200, 30))
def test_a_page_is_never_cut_below_a_heading_or_the_head_of_a_table(room: int) -> None:
    study, space = make_study(12, cost=True), made_space()
    text = page(study, space, learn(study, space), room=room)
    *kept, _, end = text.splitlines()
    assert len(text) <= room
    assert end == "The rest stands in page.md."
    assert kept[-1]
    assert not kept[-1].startswith(("#", "| :--", "| trial |", "| parameter |"))


def test_files_hold_every_point_and_equal_studies_give_equal_bytes() -> None:
    space = made_space()
    files = [search_files(study, space, learn(study, space)) for study in (make_study(12, cost=True),) * 2]
    assert files[0] == files[1]
    pictures = {
        f"{name}.{kind}" for name in ("history", "slice", "contour", "importance", "pareto") for kind in ("png", "pdf")
    }
    assert set(files[0]) == pictures | {"page.md", "trials.csv", "pareto.csv", "importance.csv"}
    lessons = learn(make_study(12, cost=True), space)
    lines = list(csv.DictReader(io.StringIO(files[0]["trials.csv"].decode())))
    assert [float(line["val_accuracy"]) for line in lines] == [accuracy(trial) for trial in lessons.points]
    assert [line["state"] for line in lines].count("pruned") == 2
    assert {line["trial"] for line in lines if line["front"] == "true"} == {str(t.number) for t in lessons.front}
    assert all(line["gflops"] for line in lines if line["state"] == "complete")


def test_pictures_are_drawn_of_branches_and_left_out_where_there_is_nothing_to_draw() -> None:
    space = made_space({})
    branches = make_study(14, conditional, first={})
    assert {"slice.png", "contour.png", "history.png"} < set(search_files(branches, space, learn(branches, space)))
    few = make_study(4)
    assert "importance.png" not in search_files(few, space, learn(few, space))
    none = make_study(0)
    assert set(search_files(none, space, learn(none, space))) == {"page.md", "trials.csv", "importance.csv"}
