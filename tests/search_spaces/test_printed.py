"""The shipped numbers of the papers: a second count of them, and values copied by hand."""

import csv
from importlib.resources import files

import pytest

from search_spaces.papers.printed import PrintedTable, printed_tables

COUNTS = {
    "i2st/table1": (92, 6),
    "i2st/table2": (95, 6),
    "i2st/table3": (16, 16),
    "i2st/table4": (20, 16),
    "i2st/table5": (18, 18),
    "i2st/table6": (60, 12),
    "i2st/table7": (16, 16),
    "i2st/table8": (36, 5),
    "i2st/table9": (9, 7),
    "strm/table1": (26, 12),
    "strm/table2": (23, 16),
    "strm/fig6": (9, 6),
    "strm/text": (3, 0),
    "vim/table1": (82, 16),
    "vim/table2": (15, 15),
    "vim/table3": (60, 30),
    "vim/table4": (72, 72),
    "vim/table5": (28, 28),
    "vim/table6": (14, 14),
    "vim/table7": (12, 12),
    "vim/table8": (16, 16),
    "vim/table9": (15, 10),
    "vim/table10": (12, 12),
    "vim/table11": (8, 8),
    "vim/table12": (8, 8),
    "vim/table13": (6, 6),
    "vim/table14": (12, 8),
    "vim/table15": (20, 20),
    "vim/table16": (10, 10),
    "vim/table17": (20, 20),
    "vim/table18": (10, 10),
    "vim/table19": (14, 14),
    "vim/fig21": (24, 18),
    "vim/fig22": (15, 2),
    "vim/fig16": (3, 0),
    "sgtm/table1": (119, 18),
    "sgtm/table2": (48, 8),
    "sgtm/table3": (8, 8),
    "sgtm/table4": (8, 8),
    "sgtm/table5": (12, 12),
    "sgtm/table6": (30, 6),
    "sgtm/text": (2, 0),
}
"""Numbers of each table, and accuracies among them that are the paper's own."""

OWN = {"sgtm": 60, "strm": 34, "i2st": 102, "vim": 349}


def index() -> list[dict[str, str]]:
    text = files("search_spaces").joinpath("papers", "index.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_every_table_has_its_numbers() -> None:
    found = {name: (len(table.cells), len(table.own_accuracies())) for name, table in printed_tables().items()}
    assert found == COUNTS
    assert sum(cells for cells, _ in found.values()) == 1126


def test_every_paper_has_its_own_accuracies() -> None:
    own = dict.fromkeys(OWN, 0)
    for table in printed_tables().values():
        own[table.paper] += len(table.own_accuracies())
    assert own == OWN
    assert sum(own.values()) == 545


def test_the_list_of_tables_agrees_with_their_files() -> None:
    folder = files("search_spaces").joinpath("papers", "tables")
    there = {entry.name for entry in folder.iterdir()}
    assert there == {f"{name.replace('/', '_')}.csv" for name in COUNTS}
    assert {f"{line['paper']}/{line['table']}": int(line["n_cells"]) for line in index() if int(line["n_cells"])} == {
        name: cells for name, (cells, _) in COUNTS.items()
    }


def test_figures_without_numbers_say_so() -> None:
    silent = [line for line in index() if line["n_cells"] == "0"]
    assert len(silent) == 22
    assert all(line["notes"].startswith("No numbers printed") for line in silent)


@pytest.mark.parametrize(
    ("name", "row", "dataset", "way", "shot", "value"),
    [
        ("sgtm/table5", "λ=0.3", "UCF101", 5, 1, "88.09"),
        ("sgtm/table1", "Ours+Bi-MHM", "HMDB51", 5, 3, "72.5"),
        ("sgtm/table6", "Ours", "Kinetics", 10, 1, "62.1"),
        ("sgtm/table2", "Ours+Bi-MHM", "SSv2-Full", 5, 5, "71.4"),
        ("strm/table2", "{2,3,4}", "SSv2-Full", 5, 5, "68.1"),
        ("strm/table1", "STRM (ViT)", "UCF101", 5, 5, "98.1"),
        ("strm/fig6", "right: STRM, 20% of tuples", "SSv2-Full", 5, 5, "65.4"),
        ("i2st/table3", "IPM", "HMDB51", 5, 3, "70.9"),
        ("i2st/table6", "I2ST", "SSv2-Full", 8, 1, "46.0"),
        ("i2st/table9", "MoLo", "SSv2-3s", 5, 1, "49.8"),
        ("vim/table6", "M=14", "SSv2-Small", 5, 1, "40.8"),
        ("vim/table17", "VIM", "HMDB51", 5, 1, "61.6"),
    ],
)
def test_a_value_stands_as_in_print(name: str, row: str, dataset: str, way: int, shot: int, value: str) -> None:
    found = [
        cell.value
        for cell in printed_tables()[name].own_accuracies()
        if (cell.row, cell.dataset, cell.way, cell.shot) == (row, dataset, way, shot)
    ]
    assert found == [value]


def test_a_difference_and_a_size_are_numbers_too() -> None:
    gains = [cell for cell in printed_tables()["strm/text"].cells if cell.metric == "accuracy_gain"]
    assert [(cell.value, cell.setting("backbone")) for cell in gains] == [("1.5", "3D ResNet-50"), ("1.9", "MViT")]
    sizes = [cell for cell in printed_tables()["i2st/table8"].cells if cell.metric == "params" and cell.own]
    assert [(cell.row, cell.value, cell.unit) for cell in sizes][-1] == ("I2ST", "130.2", "M")


DOUBTS = {
    "sgtm": {("table5", "λ=0", "75.05")},
    "strm": {("fig6", "left: TRM+FLE", "65.3"), ("table1", "STRM (ResNet-50)", "86.7"), ("table2", "{2}", "86.5")},
    "i2st": {
        ("table1", "I2ST", "43.6"),
        ("table1", "I2ST", "87.7"),
        ("table5", "I2ST(G+L)", "42.5"),
        ("table5", "I2ST(G+L)", "87.1"),
    },
    "vim": {
        ("table3", "OTAM+VIM", "0.7"),
        ("table3", "OTAM+VIM", "0.5"),
        ("table3", "TRX+VIM", "5.3"),
        ("table6", "M=14", "40.8"),
        ("table6", "M=20", "39.7"),
        ("table17", "VIM", "61.6"),
        ("table17", "Individual sampler", "36.8"),
        ("fig16", "pouring sth out of sth", "20"),
        ("fig16", "approaching sth", "20"),
        ("fig16", "poking a stack of sth", "20"),
    },
}
"""Own numbers that may be wrong or are not quite what is printed."""


@pytest.mark.parametrize("paper", DOUBTS)
def test_doubts_stand_beside_doubtful_numbers_and_no_others(paper: str) -> None:
    tables: list[PrintedTable] = [table for table in printed_tables().values() if table.paper == paper]
    found = {(table.label, cell.row, cell.value) for table in tables for cell in table.cells if cell.own and cell.doubt}
    assert found == DOUBTS[paper]


def test_a_doubt_about_a_copied_number_names_the_other_one() -> None:
    hcl = {c.shot: c.doubt for c in printed_tables()["i2st/table1"].cells if (c.row, c.dataset) == ("HCL", "UCF101")}
    assert {shot: text.split()[-1] for shot, text in hcl.items()} == {1: "82.5", 3: "91.0", 5: "93.9"}
