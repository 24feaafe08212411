"""Weights chosen on test are named wherever one of their numbers is shown, and nowhere else."""

import csv
import io
from collections.abc import Callable, Iterator

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from fsar_core.config import RunConfig, Selection
from search_spaces.table import Table
from sweeps.engine import plot
from sweeps.engine.formats import csv_text, markdown, terminal
from sweeps.engine.latex import latex
from sweeps.engine.page import html_page
from sweeps.engine.records import Store
from sweeps.engine.report import grid
from sweeps.engine.results import TableResult, collect
from sweeps.engine.selection_words import MARK, cautions, chosen_on, chosen_on_test, selection
from sweeps.engine.tracking import Tracking
from sweeps.engine.tracking_notes import LONGEST_NOTE
from tests.sweeps.made_records import PRINTS, TRAIN, fill, ratio_table, run_config, small_table, write_run
from tests.sweeps.mlflow_rows import runs

ON_TEST = Selection(on="test", episodes=10_000)
TEXTS = ("terminal", "markdown", "html", "latex")
LATEX_MARK = r"$^\ddagger$"


def of(selection: Selection) -> RunConfig:
    return run_config().model_copy(update={"selection": selection})


def on_test(table: Table, *rows: str) -> Table:
    """With the weights of these rows chosen on test; of all rows where none is named."""
    cells = tuple(
        cell.model_copy(update={"run": cell.run.model_copy(update={"selection": ON_TEST})})
        if cell.row in rows or not rows
        else cell
        for cell in table.cells
    )
    return table.model_copy(update={"cells": cells})


def results(store: Store, table: Table) -> TableResult:
    fill(store, table)
    return collect(table, (0, 1), store, PRINTS)


def rendered(result: TableResult, width: int = 150) -> dict[str, str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(terminal(result, width))
    texts = {"terminal": console.export_text(), "markdown": markdown(result), "html": html_page(result)}
    return {name: " ".join(text.split()) for name, text in (texts | {"latex": latex(result)}).items()}


def drawn(result: TableResult, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All words of the figure."""
    found: list[str] = []
    save = Figure.savefig

    def kept(self: Figure, *args: object, **options: object) -> None:
        save(self, *args, **options)  # pyright: ignore[reportArgumentType] - passed on as they came
        found.extend(_texts(self))

    monkeypatch.setattr(Figure, "savefig", kept)
    plot.draw(result, "png")
    return found


def _texts(figure: Figure) -> Iterator[str]:
    return (text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize(
    ("choice", "word", "sentence"),
    [
        (Selection(), "val", "chosen on val (2,000 episodes each look)"),
        (ON_TEST, "test", "the best of 6 looks at the test videos (10,000 episodes each look)"),
        (Selection(keep="last"), "last step", "those of the last step"),
        (Selection(keep="last", on="test"), "last step", "those of the last step"),
    ],
)
def test_a_choice_has_its_words(choice: Selection, word: str, sentence: str) -> None:
    assert (chosen_on(of(choice)), selection(of(choice))) == (word, sentence)
    assert chosen_on_test(of(choice)) == (word == "test")
    assert bool(cautions([of(choice)])) == (word == "test")


@pytest.mark.parametrize("name", TEXTS)
def test_title_number_and_footnote_say_it_in_every_format(store: Store, name: str) -> None:
    mark = LATEX_MARK if name == "latex" else MARK
    text = rendered(results(store, on_test(small_table())))[name]
    assert name == "markdown" or f"STRM, table 2: matchers ({mark} weights chosen on test)" in text
    assert f"{mark} weights chosen on test: of many looks at the test videos the best was kept" in text
    assert "the best of 6 looks at the test videos" in text
    assert "test is never used to choose" not in text
    marks_in_words = text.count(f"({mark} weights") + text.count(f"{mark} weights chosen on test:")
    assert text.count(mark) - marks_in_words == 3


@pytest.mark.parametrize("name", TEXTS)
def test_only_the_rows_it_concerns_are_marked(store: Store, name: str) -> None:
    mark = LATEX_MARK if name == "latex" else MARK
    text = rendered(results(store, on_test(small_table(), "otam")))[name]
    numbers = text.partition("bimhm")[0].rpartition("otam")[2], text.partition("bimhm")[2].partition("Data:")[0]
    assert mark in numbers[0]
    in_differences_to_it = 2
    assert numbers[1].replace(f"{mark} weights", "").count(mark) == in_differences_to_it
    other = rendered(results(store, on_test(small_table(), "bimhm")))[name].partition("bimhm")[2].partition("Data:")[0]
    assert other.replace(f"{mark} weights", "").count(mark) == 1


@pytest.mark.parametrize("name", TEXTS)
def test_a_table_chosen_on_val_says_that_test_is_never_used(store: Store, name: str) -> None:
    text = rendered(results(store, small_table()))[name]
    assert "test is never used to choose" in text
    assert MARK not in text
    assert "ddagger" not in text


def test_it_does_not_compete_with_numbers_chosen_on_val(store: Store) -> None:
    ranks = {row: entries[0].rank for row, entries in grid(results(store, small_table())).rows if entries[0]}
    assert ranks == {"otam": None, "bimhm": "second", "protonet": "best"}
    result = results(store, on_test(small_table(), "protonet"))
    ranks = {row: entries[0].rank for row, entries in grid(result).rows if entries[0]}
    assert ranks == {"otam": "second", "bimhm": "best", "protonet": None}


def test_csv_has_a_column_for_it(store: Store) -> None:
    lines = csv.DictReader(io.StringIO(csv_text(results(store, on_test(small_table(), "otam")))))
    assert {line["row"]: line["weights_chosen_on"] for line in lines} == {
        "otam": "test",
        "bimhm": "val",
        "protonet": "val",
    }


@pytest.mark.parametrize("make", [ratio_table, small_table], ids=["lines", "bars"])
def test_figures_say_it_on_the_axis_and_at_the_names(
    store: Store, make: Callable[[], Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = drawn(results(store, on_test(make())), monkeypatch)
    assert f"accuracy on motionshapes (%)\n{MARK} weights chosen on test" in words
    assert any(word in (f"OTAM {MARK}", f"otam {MARK}") for word in words)
    honest = drawn(results(store, make()), monkeypatch)
    assert not any(MARK in word for word in honest)


def test_a_training_in_mlflow_says_it_in_name_tag_note_and_metric(uri: str, store: Store) -> None:
    run = of(ON_TEST)
    write_run(store, run)
    Tracking(uri).record_run(store.key(run, TRAIN), store.folder(run, TRAIN))
    (logged,) = runs(uri, "runs")
    assert str(logged.info.run_name).endswith(f"] {MARK}")
    assert logged.data.tags["weights_chosen_on"] == "test"
    note = logged.data.tags["mlflow.note.content"]
    assert note.startswith("Accuracy on test **45.00 %**")
    assert f"{MARK} weights chosen on test: of many looks" in note
    assert logged.data.metrics["summary/test_accuracy"] == 0.45
    assert "summary/val_accuracy" not in logged.data.metrics


def test_a_table_in_mlflow_says_it_in_tags_and_notes(uri: str, store: Store) -> None:
    result = results(store, on_test(small_table(), "otam"))
    parent_id = Tracking(uri).record_table(result, "launch", "motionshapes", "molo")
    found = {run.data.tags.get("row", "table"): run for run in runs(uri, "strm/table2")}
    assert found["table"].info.run_id == parent_id
    said = {name: run.data.tags["weights_chosen_on"] for name, run in found.items()}
    assert said == {"table": "test, val", "otam": "test", "bimhm": "val", "protonet": "val"}
    notes = {name: run.data.tags["mlflow.note.content"] for name, run in found.items()}
    assert {name for name, note in notes.items() if f"{MARK} weights chosen on test" in note} == {"table", "otam"}
    assert notes["table"].startswith(f"### STRM, table 2: matchers ({MARK} weights chosen on test)")
    assert found["otam"].info.run_name == f"otam, 1-shot {MARK}"
    assert max(map(len, notes.values())) < LONGEST_NOTE
