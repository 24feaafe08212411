"""Tables: every place once, rows and columns in the order of their first cell."""

import pytest
from pydantic import ValidationError

from fsar_core.config import EvalConfig
from fsar_core.methods import sgtm
from fsar_core.presets import smoke
from search_spaces.table import Cell, Published, Table

RECIPE = smoke("motionshapes")
RUN = RECIPE.few_shot(sgtm.baseline(RECIPE.backbone))


def cell(row: str, column: str) -> Cell:
    return Cell(row=row, column=column, settings={}, run=RUN, evaluation=EvalConfig())


def test_rows_and_columns_keep_the_order_of_their_first_cell() -> None:
    cells = (cell("b", "5-shot"), cell("a", "5-shot"), cell("b", "1-shot"), cell("a", "1-shot"), cell("c", "9"))
    table = Table(name="made", title="", cells=cells)
    assert table.rows() == ("b", "a", "c")
    assert table.columns() == ("5-shot", "1-shot", "9")


def test_two_cells_in_one_place_are_refused_and_named() -> None:
    cells = (cell("a", "x"), cell("b", "x"), cell("a", "x"), cell("b", "x"), cell("b", "y"))
    with pytest.raises(ValidationError, match=r"each \(row, column\) once; .* \[\('a', 'x'\), \('b', 'x'\)\]"):
        Table(name="made", title="", cells=cells)


def test_the_reference_must_be_a_row() -> None:
    assert Table(name="made", title="", cells=(cell("a", "x"),), reference="a").reference == "a"
    with pytest.raises(ValidationError, match=r"one of the rows \('a',\), got 'z'"):
        Table(name="made", title="", cells=(cell("a", "x"),), reference="z")


@pytest.mark.parametrize("name", ["", "Made", "made table", "/made", "../made"])
def test_a_name_that_is_no_experiment_s_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        Table(name=name, title="", cells=(cell("a", "x"),))


def test_a_table_without_cells_is_refused() -> None:
    with pytest.raises(ValidationError, match="cells"):
        Table(name="made", title="", cells=())


@pytest.mark.parametrize("percent", [-0.1, 100.1])
def test_a_printed_accuracy_is_a_percentage(percent: float) -> None:
    with pytest.raises(ValidationError, match="percent"):
        Published(percent=percent, dataset="Kinetics", source="")


def test_a_table_survives_json() -> None:
    table = Table(name="made", title="t", cells=(cell("a", "x"), cell("b", "x")), reference="b")
    assert Table.model_validate_json(table.model_dump_json()) == table
