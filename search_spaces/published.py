"""Printed accuracies looked up by what they were measured under."""

from collections.abc import Mapping

from search_spaces.papers.printed import PrintedCell, PrintedTable, printed_tables
from search_spaces.table import Published, Setting


def find(tables: tuple[str, ...], dataset: str, shot: int, settings: Mapping[str, Setting | None]) -> Published | None:
    """The first printed 5-way value on ``dataset`` whose settings include ``settings``, or None."""
    for table in map(printed_tables().__getitem__, tables):
        for cell in _five_way(table, dataset, shot):
            if all(cell.settings.get(name) == value for name, value in settings.items()):
                return table.published(cell)
    return None


def of_method(method: str, dataset: str, shot: int, backbone: str) -> Published | None:
    """The first printed 5-way value of a method, as the papers call it, on one of our data sets; None: none is known.

    A row that does not name its backbone is taken for a ResNet-50, as these papers say in their texts.
    """
    for table in map(printed_tables().__getitem__, _COMPARISONS):
        for cell in _five_way(table, PRINTED_NAMES.get(dataset), shot):
            if (cell.method, cell.setting("backbone") or "ResNet-50") == (method, backbone):
                return table.published(cell)
    return None


_COMPARISONS = ("strm/table1", "sgtm/table1", "sgtm/table2")
"""Tables that compare methods; what stands in an earlier one counts."""

PRINTED_NAMES = {
    "hmdb51": "HMDB51",
    "ucf101": "UCF101",
    "kinetics100": "Kinetics",
    "ssv2_small": "SSv2-Small",
    "ssv2_full": "SSv2-Full",
    "activitynet": "ActivityNet",
}
"""What the tables call our data sets."""


def _five_way(table: PrintedTable, dataset: str | None, shot: int) -> list[PrintedCell]:
    wanted = (dataset, 5, shot)
    return [c for c in table.cells if c.metric == "accuracy" and (c.dataset, c.way, c.shot) == wanted]
