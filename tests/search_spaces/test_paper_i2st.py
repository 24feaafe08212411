"""I2ST's tables as runs."""

import pytest

from fsar_core.backbones import ResNet, WeightsFile
from fsar_core.methods import LEFT_OUT, hyrsm, i2st, trx
from search_spaces.papers.i2st import PAPER
from search_spaces.papers.paper import RefusedError
from tests.search_spaces.paper_cells import (
    Variant,
    changes,
    listed_sharing,
    printed_cell,
    recipe_of,
    resolved,
    sharing,
    trainings,
    walked,
)

RECIPE = recipe_of("HMDB51", 1)
FULL = i2st.run(RECIPE, i2st.i2st(RECIPE.backbone))
SETTINGS = printed_cell("i2st/table2", "I2ST", dataset="HMDB51", shot=1).settings


@pytest.mark.parametrize("preset", ["clean", "molo", "laptop", "laptop64"])
def test_every_accuracy_but_molos_is_a_run_and_they_share_trainings_as_listed(preset: str) -> None:
    found, refused = walked(PAPER, preset)
    assert {(number.table, number.row) for number in refused} == {("table7", "MoLo"), ("table9", "MoLo")}
    assert set(refused.values()) == {LEFT_OUT["molo"]}
    assert (len(found), len(refused)) == (96, 6)
    assert sharing(found) == listed_sharing("i2st", refused)
    assert len(sharing(found)) == trainings("i2st") - 3 == 57


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("table2", "I2ST"),
        ("table3", "IPM+T-Branch+S-Branch"),
        ("table5", "I2ST(G+L)"),
        ("table8", "I2ST"),
    ],
)
def test_the_full_method_is_one_run_in_all_tables(table: str, row: str) -> None:
    assert resolved(PAPER, printed_cell(f"i2st/{table}", row, dataset="HMDB51", shot=1)).run == FULL


ROWS = {
    ("table3", "Bi-MHM (none)"): i2st.baseline,
    ("table3", "T-Branch"): i2st.no_instances_temporal,
    ("table3", "S-Branch"): i2st.no_instances_spatial,
    ("table3", "T-Branch+S-Branch"): i2st.no_instances,
    ("table3", "IPM"): i2st.gap_sum,
    ("table3", "IPM+T-Branch"): i2st.temporal_only,
    ("table3", "IPM+S-Branch"): i2st.spatial_only,
    ("table4", "OTAM"): i2st.otam,
    ("table4", "OTAM+IPM"): i2st.otam_ipm,
    ("table4", "I2ST(cross)"): i2st.cross_attention,
    ("table4", "I2ST(self)"): i2st.i2st,
    ("table5", "OTAM(L)"): i2st.local_otam,
    ("table5", "Bi-MHM(L)"): i2st.local_only,
    ("table7", "OTAM"): i2st.otam,
    ("table7", "Bi-MHM"): i2st.baseline,
    ("table8", "I2ST-S"): i2st.spatial_only,
    ("table8", "I2ST-T"): i2st.temporal_only,
    ("table9", "Bi-MHM"): i2st.baseline,
}


@pytest.mark.parametrize(("place", "variant"), ROWS.items(), ids=[" ".join(place) for place in ROWS])
def test_a_row_is_the_variant_that_was_built_for_it(place: tuple[str, str], variant: Variant) -> None:
    cell = printed_cell(f"i2st/{place[0]}", place[1], shot=1)
    recipe = recipe_of(str(cell.settings["train_dataset"]), 1)
    assert resolved(PAPER, cell).run == i2st.run(recipe, variant(recipe.backbone))


def test_rows_of_tables_4_and_5_differ_from_the_full_method_in_one_place() -> None:
    cell = printed_cell("i2st/table5", "Bi-MHM(L)", dataset="HMDB51", shot=1)
    head = "method.heads.0.matcher"
    assert changes(FULL, resolved(PAPER, cell).run) == {f"{head}.mode": ("global_local", "local")}
    crossed = PAPER.resolve({**SETTINGS, "fusion": "cross_attention"}, RECIPE).run
    assert changes(FULL, crossed) == {"method.steps.1.stage.fusion": ("self", "cross")}


def test_a_deeper_backbone_changes_the_depth_alone() -> None:
    base = i2st.run(RECIPE, i2st.otam(RECIPE.backbone))
    for depth in (101, 152):
        run = resolved(PAPER, printed_cell("i2st/table8", f"OTAM(ResNet-{depth})")).run
        assert changes(base, run) == {"method.backbone.depth": (50, depth)}


def test_methods_of_which_costs_alone_are_printed_are_those_of_their_own_papers() -> None:
    for name, run in (
        ("TRX", trx.run(RECIPE, trx.trx(RECIPE.backbone))),
        ("HYRSM", hyrsm.run(RECIPE, hyrsm.hyrsm(RECIPE.backbone))),
    ):
        assert PAPER.resolve(printed_cell("i2st/table8", name).settings, RECIPE).run == run


def test_a_file_of_weights_does_not_stand_for_those_of_another_backbone() -> None:
    own = ResNet.Config(weights=WeightsFile(name="mine.pth", sha256="0" * 64))
    with pytest.raises(RefusedError, match=r"mine\.pth, which does not fit a ResNet-101"):
        PAPER.resolve({"method": "OTAM", "backbone": "ResNet-101"}, RECIPE.with_backbone(own))


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"s_branch": False, "t_branch": False}, "fusion goes with instance_perception and a branch"),
        ({"fusion": None}, "fusion goes with instance_perception and a branch"),
        ({"s_branch": False, "t_branch": False, "fusion": None}, "global_prototype needs s_branch or t_branch"),
        ({"instance_perception": False, "fusion": None, "local_metric": "otam"}, "branches without"),
        ({"lambda": 0.1}, "'lambda'"),
        ({"method": "Bi-MHM"}, "s_branch: "),
        ({"method": "OTAM"}, "'fusion'"),
        ({"method": "HCL"}, "no method in this paper's tables is called 'HCL'"),
        ({"frames": 0}, "frames: "),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, str | float | bool | None], part: str) -> None:
    with pytest.raises(RefusedError) as caught:
        PAPER.resolve({**SETTINGS, **changed}, RECIPE)
    assert part in str(caught.value)
