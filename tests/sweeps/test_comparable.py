"""Which printed values ours may be compared with: same training data, same test data, same backbone."""

import pytest

from search_spaces.table import Published, is_backbone
from sweeps.engine.results import CellResult
from tests.sweeps.made_records import cell


def comparable(**printed: str) -> bool:
    value = Published.model_validate({"percent": 50.0, "source": "VIM, fig. 21", "dataset": "MotionShapes", **printed})
    return CellResult(cell("row", 1, 0.1, published=value), ()).printed is not None


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ({}, True),
        ({"dataset": "Kinetics"}, False),
        ({"trained": "MotionShapes"}, True),
        ({"trained": "Kinetics"}, False),
        ({"backbone": "ResNet-50"}, False),
    ],
)
def test_a_value_of_other_data_or_another_backbone_is_not_compared(printed: dict[str, str], same: bool) -> None:
    assert comparable(**printed) is same


def test_of_several_values_the_comparable_one_counts() -> None:
    values = [
        Published(percent=p, source="SGTM, table 5", dataset=d)
        for p, d in ((75.0, "Kinetics"), (88.0, "motion-shapes"))
    ]
    own = cell("row", 1, 0.1).model_copy(update={"published": tuple(values)})
    assert CellResult(own, ()).printed is values[1]


@pytest.mark.parametrize(
    ("ours", "printed", "same"),
    [
        ("ResNet-50", "ResNet-50", True),
        ("ViT-B/16", "ViT", True),
        ("resnet 50", "ResNet-50", True),
        ("ResNet-18", "ResNet-50", False),
        ("MViT v2", "ViT", False),
    ],
)
def test_papers_leave_out_what_there_is_only_one_of(ours: str, printed: str, same: bool) -> None:
    assert is_backbone(ours, printed) is same
