"""Figures of tables, by the words and marks that they draw."""

import warnings

import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from search_spaces.table import Axis, Scatter, Setting, Table
from sweeps.engine import plot
from sweeps.engine.plot import draw
from sweeps.engine.plot_style import FONT, ONE_COLUMN, TWO_COLUMNS, label, shape, short
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult
from tests.sweeps.made_records import ratio_table, small_table
from tests.sweeps.made_tables import complete, unfinished, wide, with_settings

ROWS = tuple(f"row {i} without its selector, amplifier, coordination and loss {i}" for i in range(20))
COST = Scatter(x="parameters", x_label="parameters (million)")
WAYS = Axis(x="way", x_label="classes per episode (way)", group="row", panel="dataset")


def costs(row: int, column: int) -> dict[str, Setting]:
    return {"parameters": 10.0 + 3 * (row % 11)}


def ways(row: int, column: int) -> dict[str, Setting]:
    return {"way": 5 + column % 6, "dataset": ("SSv2-Full", "Kinetics")[column // 6], "row": ROWS[row]}


def figure_of(result: TableResult, monkeypatch: pytest.MonkeyPatch) -> Figure:
    drawn: list[Figure] = []
    canvas = plot.FigureCanvasAgg

    def kept(figure: Figure) -> object:
        drawn.append(figure)
        return canvas(figure)

    monkeypatch.setattr(plot, "FigureCanvasAgg", kept)
    draw(result, "png")
    return drawn[0]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def hollow(figure: Figure) -> list[Line2D]:
    return [line for line in figure.findobj(Line2D) if line.get_markerfacecolor() == "white"]


KINDS = pytest.mark.parametrize(
    "table",
    [
        ratio_table(printed_on="motionshapes"),
        wide(ROWS[:2], 12, WAYS, setting=ways),
        small_table(printed_on="motionshapes"),
        wide(ROWS[:5], 2, COST, setting=costs),
    ],
    ids=["lines", "lines in panels", "bars", "scatter"],
)


@KINDS
def test_figures_are_files_of_their_kind_and_repeatable(store: Store, table: Table) -> None:
    result = complete(table, store)
    png, pdf = draw(result, "png"), draw(result, "pdf")
    assert png.startswith(b"\x89PNG")
    assert pdf.startswith(b"%PDF")
    assert (png, pdf) == (draw(result, "png"), draw(result, "pdf"))


@KINDS
def test_figures_are_as_wide_as_columns_of_a_paper_with_letters_of_seven_points(
    store: Store, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = figure_of(complete(table, store), monkeypatch)
    assert figure.get_figwidth() in (ONE_COLUMN, TWO_COLUMNS)
    assert min(float(text.get_fontsize()) for text in figure.findobj(Text)) >= FONT >= 7


@KINDS
def test_printed_values_are_hollow_and_never_of_other_data(
    store: Store, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hollow(figure_of(complete(table, store), monkeypatch))
    other = [
        own.model_copy(update={"published": tuple(p.model_copy(update={"dataset": "Kinetics"}) for p in own.published)})
        for own in table.cells
    ]
    figure = figure_of(complete(table.model_copy(update={"cells": tuple(other)}), store), monkeypatch)
    assert not hollow(figure)
    assert not any("printed" in word for word in words(figure))


@KINDS
def test_unfinished_cells_are_counted(store: Store, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    said = words(figure_of(unfinished(table, store), monkeypatch))
    assert sum("not finished" in word for word in said) in (1, 2)


def test_bars_say_what_became_of_unfinished_cells(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    said = words(figure_of(unfinished(small_table(), store), monkeypatch))
    assert {"failed, 0/2", "pending 0/2"} < set(said)


def test_a_panel_setting_gives_a_panel_for_each_of_its_values(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(complete(wide(ROWS[:2], 12, WAYS, setting=ways), store), monkeypatch)
    assert [panel.get_title() for panel in figure.axes] == ["SSv2-Full", "Kinetics"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["5", "6", "7", "8", "9", "10"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((1.0, 5.0, 10.0), "linear"),
        ((0.01, 0.1, 1.0), "log"),
        ((0.0, 0.01, 1.0), "symlog"),
        ((-1.0, 0.1, 9.0), "linear"),
    ],
)
def test_more_than_a_decade_is_drawn_logarithmically(
    store: Store, values: tuple[float, ...], scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = wide(
        ROWS[:3],
        1,
        Axis(x="lambda", x_label="weight λ", group="method"),
        setting=lambda row, column: {"lambda": values[row], "method": "SGTM"},
    )
    (panel,) = figure_of(complete(table, store), monkeypatch).axes
    assert panel.get_xscale() == scale
    assert [text.get_text() for text in panel.get_xticklabels()] == [f"{value:g}" for value in values]


def test_names_in_a_scatter_cover_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OTAM", "Bi-MHM", "TRX", "I2ST, T-branch", "I2ST")
    table = wide(names, 1, COST, setting=lambda row, column: {"parameters": (23.5, 23.5, 11.2, 44.1, 47.0)[row]})
    (panel,) = (figure := figure_of(complete(table, store), monkeypatch)).axes
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in panel.texts if text.get_text()]
    assert {text.get_text() for text in panel.texts if text.get_text()} == set(names)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    frame = panel.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    assert figure.get_figwidth() == ONE_COLUMN


def test_many_rows_of_a_scatter_have_numbers_and_a_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (panel,) = (figure := figure_of(complete(wide(ROWS, 1, COST, setting=costs), store), monkeypatch)).axes
    assert {text.get_text() for text in panel.texts if text.get_text()} == {str(i) for i in range(1, 21)}
    assert f"20  {short(ROWS[19])}" in words(figure)


def test_rows_without_costs_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table = with_settings(wide(ROWS[:3], 1, COST, setting=costs), without=1)
    (panel,) = figure_of(complete(table, store), monkeypatch).axes
    assert "1 without costs" in panel.get_title()


@pytest.mark.parametrize("axis", [None, COST], ids=["bars", "scatter"])
def test_twenty_rows_and_eight_columns_fit(store: Store, axis: Scatter | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a layout that has no room
        figure = figure_of(complete(wide(ROWS, 8, axis, setting=costs), store, (0,)), monkeypatch)
    assert len(figure.axes) == 8
    assert figure.get_figheight() < 11


def test_panels_are_wrapped_evenly_four_in_a_row() -> None:
    assert [tuple(shape(count)) for count in (1, 4, 5, 8, 9)] == [(1, 1), (1, 4), (2, 3), (2, 4), (3, 3)]


def test_long_names_keep_their_ends() -> None:
    assert label(ROWS[3]).endswith("and loss 3")
    assert label(ROWS[3]).count("\n") == 1
    assert short(ROWS[3]).startswith("row 3")
    assert short(ROWS[3]).endswith("loss 3")
    assert len(short(ROWS[3])) < 46
    assert label("x" * 400).count("\n") == 1
