"""Printed tables as tables that can be run: places, merged columns, what is said below, names."""

import pytest

from fsar_core.presets import PRESETS, Recipe
from search_spaces.papers.printed import printed_tables
from search_spaces.papers.selection import find_tables, paper_tables
from search_spaces.papers.tables import paper_table, runnable_tables
from search_spaces.table import Axis, Scatter, Table, TableError

REFUSED = {"i2st/table7": 4, "i2st/table9": 2, "vim/table9": 4}
"""Own accuracies that cannot be run: MoLo, and scan networks whose weights torchvision does not have."""

REFUSED_ANYWHERE = {"i2st/table7": 4, "i2st/table9": 2}
"""MoLo is not built; weights of scan networks are no matter where nothing starts from ImageNet."""


def clean(dataset: str) -> Recipe:
    return PRESETS["clean"](dataset)


def tiny(dataset: str) -> Recipe:
    return PRESETS["tiny"](dataset)


@pytest.fixture(scope="module")
def own_data() -> dict[str, Table]:
    return {name: paper_table(name, clean) for name in runnable_tables()}


@pytest.fixture(scope="module")
def substituted() -> dict[str, Table]:
    return {name: paper_table(name, tiny, "motionshapes") for name in runnable_tables()}


@pytest.mark.parametrize("name", runnable_tables())
class TestEveryTable:
    def test_on_its_own_data_each_own_accuracy_is_a_cell_with_its_printed_value(
        self, own_data: dict[str, Table], name: str
    ) -> None:
        cells, printed = own_data[name].cells, printed_tables()[name].own_accuracies()
        assert len(cells) == len(printed) - REFUSED.get(name, 0)
        assert all(len(cell.published) == 1 for cell in cells)
        values = sorted(float(cell.value) for cell in printed)
        shown = sorted(cell.published[0].percent for cell in cells)
        assert shown == values if name not in REFUSED else set(shown) <= set(values)

    def test_on_other_data_no_printed_value_is_lost_and_no_number_is_there_twice(
        self, substituted: dict[str, Table], name: str
    ) -> None:
        table = substituted[name]
        shown = sorted(value.percent for cell in table.cells for value in cell.published)
        printed = sorted(float(cell.value) for cell in printed_tables()[name].own_accuracies())
        assert len(shown) == len(printed) - REFUSED_ANYWHERE.get(name, 0)
        assert set(shown) <= set(printed)
        assert {cell.run.data.dataset for cell in table.cells} == {"motionshapes"}
        assert all(cell.evaluation.episodes == 50 for cell in table.cells)

    def test_it_is_drawn_by_settings_that_its_cells_have(self, substituted: dict[str, Table], name: str) -> None:
        table = substituted[name]
        match table.axis:
            case Axis(x=x, group=group, panel=panel):
                needed = {x, group, *([panel] if panel else [])}
            case Scatter(x=x):
                needed = {x}
            case None:
                needed = set[str]()
        assert all(needed <= cell.settings.keys() for cell in table.cells)


def test_the_kinds_of_drawing_are_those_of_what_varies(own_data: dict[str, Table]) -> None:
    lines = {name: table.axis.x for name, table in own_data.items() if isinstance(table.axis, Axis)}
    assert lines == {
        "i2st/table6": "way",
        "sgtm/table5": "lambda",
        "sgtm/table6": "way",
        "vim/table6": "dense_frames",
        "vim/table7": "frames",
        "vim/table8": "scan_size",
    }
    points = {name for name, table in own_data.items() if isinstance(table.axis, Scatter)}
    assert points == {"i2st/table8", "vim/fig22"}


def test_columns_of_several_data_sets_become_one_with_all_printed_values(substituted: dict[str, Table]) -> None:
    table = substituted["sgtm/table5"]
    assert table.columns() == ("1-shot",)
    (cell,) = (cell for cell in table.cells if cell.row == "λ=0.3")
    assert [(value.dataset, value.percent) for value in cell.published] == [("Kinetics", 75.08), ("UCF101", 88.09)]
    assert cell.settings["lambda"] == 0.3
    assert any("instead of Kinetics, UCF101" in note for note in table.notes)


def test_columns_that_ask_for_different_numbers_stay_apart(substituted: dict[str, Table]) -> None:
    table = substituted["i2st/table9"]
    assert table.columns() == ("SSv2-3s 1-shot", "SSv2-5s 1-shot", "SSv2-Full 1-shot")
    assert {cell.evaluation.max_seconds for cell in table.cells} == {3.0, 5.0, None}


def test_the_papers_own_data_are_no_substitute() -> None:
    table = paper_table("sgtm/table5", clean, "kinetics100")
    (note,) = (note for note in table.notes if "instead of" in note)
    assert "instead of UCF101:" in note
    assert not any("instead of" in note for note in paper_table("sgtm/table3", clean, "kinetics100").notes)


def test_tests_on_other_data_keep_their_training(own_data: dict[str, Table], substituted: dict[str, Table]) -> None:
    cells = {cell.row: cell for cell in own_data["vim/fig21"].cells if cell.evaluation.dataset == "hmdb51"}
    assert {cell.run.data.dataset for cell in cells.values()} == {"kinetics100"}
    assert any("tests on other data than it trains on" in note for note in substituted["vim/fig21"].notes)


def test_ways_are_tests_of_one_training(own_data: dict[str, Table]) -> None:
    cells = own_data["sgtm/table6"].cells
    assert [cell.evaluation.way for cell in cells] == [5, 6, 7, 8, 9, 10]
    assert len({cell.run.run_id() for cell in cells}) == 1


def test_what_cannot_be_run_is_named_below_the_table(own_data: dict[str, Table]) -> None:
    notes = own_data["i2st/table7"].notes
    assert any(note.startswith("Not run: MoLo: MoLo is not built") for note in notes)
    assert "MoLo" not in own_data["i2st/table7"].rows()


def test_doubts_stand_below_the_table(own_data: dict[str, Table]) -> None:
    assert any(
        note.startswith("Doubt about the printed 75.05 (λ=0, Kinetics") for note in own_data["sgtm/table5"].notes
    )


def test_rows_that_do_not_fit_the_preset_are_faults_of_all_tables_together() -> None:
    with pytest.raises(TableError) as refused:
        paper_tables(["vim/table12", "vim/table13"], PRESETS["laptop"], "motionshapes")
    for row in ("vim/table12, + Both", "vim/table13, Mask"):
        assert any(fault.startswith(row) for fault in refused.value.faults), refused.value.faults


class TestNames:
    def test_a_paper_stands_for_its_tables_and_nothing_is_there_twice(self) -> None:
        found = find_tables(["sgtm/table5", "sgtm", "strm/fig6"])
        assert found == ("strm/fig6", *(f"sgtm/table{number}" for number in range(1, 7)))

    def test_all_are_those_that_can_be_run(self) -> None:
        assert find_tables([], every=True) == runnable_tables()
        assert len(runnable_tables()) == 39

    def test_every_wrong_name_is_a_fault(self) -> None:
        with pytest.raises(TableError) as refused:
            find_tables(["sgtm/tabel5", "nothing", "sgtm/text"])
        near, far, empty = refused.value.faults
        assert "did you mean 'sgtm/table5'?" in near
        assert "no paper or table is called 'nothing'." in far
        assert "holds no accuracy that a training could give" in empty

    def test_no_name_is_a_fault(self) -> None:
        with pytest.raises(TableError, match=r"name at least one paper .* or give --all"):
            find_tables([])
