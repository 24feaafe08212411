"""What stands in the place of the papers' backbones."""

import pytest

from fsar_core.backbones import ResNet
from search_spaces.papers import i2st, strm
from search_spaces.papers.backbones import backbone_notes
from tests.search_spaces.paper_cells import printed_cell, recipe_of, resolved

VIT, PLAIN = (printed_cell("strm/table1", f"STRM ({name})") for name in ("ViT", "ResNet-50"))
DEEP = printed_cell("i2st/table8", "OTAM(ResNet-152)")


def test_backbones_that_are_those_of_the_paper_need_no_note() -> None:
    cells = [(VIT, resolved(strm.PAPER, VIT).run), (PLAIN, resolved(strm.PAPER, PLAIN).run)]
    assert list(backbone_notes([*cells, (DEEP, resolved(i2st.PAPER, DEEP).run)])) == []


def test_small_nets_are_named_with_what_they_stand_for() -> None:
    runs = [(cell, resolved(strm.PAPER, cell, "laptop").run) for cell in (PLAIN, VIT, PLAIN)]
    assert list(backbone_notes(runs)) == [
        "Backbones here: small net of 128 channels for ResNet-50, small net of 176 channels for ViT."
    ]


def test_a_shallower_net_is_named_too() -> None:
    recipe = recipe_of("Kinetics", 5).with_backbone(ResNet.Config(depth=18))
    (note,) = backbone_notes([(PLAIN, strm.PAPER.resolve(PLAIN.settings, recipe).run)])
    assert note == "Backbones here: ResNet-18 for ResNet-50."


@pytest.mark.parametrize(("frozen", "batch_norm"), [(True, "train"), (False, "frozen")])
def test_a_deeper_net_is_held_still_as_the_one_of_the_recipe(frozen: bool, batch_norm: str) -> None:
    own = ResNet.Config.model_validate({"weights": "none", "frozen": frozen, "batch_norm": batch_norm})
    deep = i2st.PAPER.resolve(DEEP.settings, recipe_of("HMDB51", 1).with_backbone(own)).run.method.backbone
    assert deep == own.model_copy(update={"depth": 152})
