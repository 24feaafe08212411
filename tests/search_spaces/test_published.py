"""Printed numbers: read from the shipped tables, found by their settings."""

import csv
from importlib.resources import files

import pytest

from search_spaces.papers.printed import printed_tables
from search_spaces.published import find, of_method

NAMES = ("sgtm/table3", "sgtm/table4")


@pytest.mark.parametrize("name", NAMES)
def test_every_accuracy_of_a_shipped_table_is_read(name: str) -> None:
    text = (
        files("search_spaces").joinpath("papers", "tables", f"{name.replace('/', '_')}.csv").read_text(encoding="utf-8")
    )
    rows = [row for row in csv.DictReader(text.splitlines()) if row["metric"] == "accuracy"]
    cells = printed_tables()[name].own_accuracies()
    assert len(cells) == len(rows) == 8
    for cell, row in zip(cells, rows, strict=True):
        assert cell.value == row["value"]
        assert (cell.row, cell.dataset, str(cell.way), str(cell.shot)) == (
            row["row"],
            row["dataset"],
            row["way"],
            row["shot"],
        )


def test_a_value_is_found_by_settings_and_says_where_it_stands() -> None:
    found = find(NAMES, "Kinetics", 5, {"mask_selection": "middle4_saliency"})
    assert found is not None
    assert (found.percent, found.dataset, found.source) == (86.34, "Kinetics", "SGTM, table 4")


def test_the_first_table_that_has_a_value_gives_it() -> None:
    settings = {"mask_selection": "top2+bottom2_saliency"}
    both = [find(order, "Kinetics", 1, settings) for order in (NAMES, NAMES[::-1])]
    assert [own.source if own else None for own in both] == ["SGTM, table 3", "SGTM, table 4"]


@pytest.mark.parametrize(
    ("dataset", "shot", "settings"),
    [
        ("UCF101", 1, {"encoder": False}),
        ("Kinetics", 3, {"encoder": False}),
        ("Kinetics", 1, {"encoder": False, "masked_frames": 4}),
        ("Kinetics", 1, {"no such setting": 1}),
    ],
)
def test_what_is_not_printed_is_not_found(dataset: str, shot: int, settings: dict[str, str | int]) -> None:
    assert find(NAMES, dataset, shot, dict(settings)) is None


@pytest.mark.parametrize(
    ("method", "dataset", "shot", "backbone", "percent", "source"),
    [
        ("TRX", "ssv2_full", 5, "ResNet-50", 64.6, "STRM, table 1"),
        ("STRM", "hmdb51", 5, "ResNet-50", 77.3, "STRM, table 1"),
        ("STRM", "ucf101", 5, "ViT", 98.1, "STRM, table 1"),
        ("TRX", "ssv2_full", 1, "ResNet-50", 42.0, "SGTM, table 2"),
        ("HyRSM", "kinetics100", 1, "ResNet-50", 73.7, "SGTM, table 1"),
        ("HyRSM", "ssv2_small", 5, "ResNet-50", 56.1, "SGTM, table 2"),
    ],
)
def test_a_method_is_found_on_our_data_sets(
    method: str, dataset: str, shot: int, backbone: str, percent: float, source: str
) -> None:
    found = of_method(method, dataset, shot, backbone)
    assert found is not None
    assert (found.percent, found.source) == (percent, source)


@pytest.mark.parametrize(
    ("method", "dataset", "shot", "backbone"),
    [
        ("TRX", "motionshapes", 5, "ResNet-50"),
        ("TRX", "hmdb51", 5, "ResNet-18"),
        ("HyRSM", "hmdb51", 2, "ResNet-50"),
        ("trx", "hmdb51", 5, "ResNet-50"),
    ],
)
def test_a_method_that_is_not_printed_so_is_not_found(method: str, dataset: str, shot: int, backbone: str) -> None:
    assert of_method(method, dataset, shot, backbone) is None
