"""STRM's tables as runs."""

import pytest

from fsar_core.backbones import Mvit, ResNet3d, SmallNet, Vit
from fsar_core.config import EvalConfig
from fsar_core.methods import strm, trx
from search_spaces.papers.paper import RefusedError
from search_spaces.papers.strm import PAPER
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

RECIPE = recipe_of("SSv2-Full", 5)
FULL = strm.run(RECIPE, strm.strm(RECIPE.backbone))
SETTINGS = printed_cell("strm/table1", "STRM (ResNet-50)").settings
WITHOUT_ACCURACY = 4
"""Trainings behind printed differences alone: STRM and TRX on a 3D ResNet-50 and on an MViT."""


@pytest.mark.parametrize("preset", ["clean", "strm", "laptop", "laptop64"])
def test_every_accuracy_is_a_run_and_they_share_trainings_as_listed(preset: str) -> None:
    found, refused = walked(PAPER, preset)
    assert (len(found), refused) == (34, {})
    assert sharing(found) == listed_sharing("strm")
    assert len(sharing(found)) == trainings("strm") - WITHOUT_ACCURACY == 30


@pytest.mark.parametrize(
    ("table", "row"), [("table1", "STRM (ResNet-50)"), ("table2", "{2}"), ("fig6", "left: STRM (full)")]
)
def test_the_full_method_is_one_run_in_all_tables(table: str, row: str) -> None:
    found = resolved(PAPER, printed_cell(f"strm/{table}", row, dataset="SSv2-Full"))
    assert (found.run, found.measured) == (FULL, None)


@pytest.mark.parametrize(
    ("row", "variant"),
    [
        ("left: baseline TRM", strm.trm_only),
        ("left: TRM+PLE", strm.ple_only),
        ("left: TRM+FLE", strm.fle_only),
        ("left: TRM+PLE+FLE", strm.no_qc),
    ],
    ids=["none", "patches", "frames", "both"],
)
def test_the_bars_of_figure_6_are_the_method_without_its_parts(row: str, variant: Variant) -> None:
    found = resolved(PAPER, printed_cell("strm/fig6", row))
    assert found.run.method == variant(RECIPE.backbone)


@pytest.mark.parametrize(
    ("row", "cardinalities"), [("{1}", [1]), ("{4}", [4]), ("{2,3}", [2, 3]), ("{2,3,4}", [2, 3, 4])]
)
def test_a_row_of_table_2_changes_the_cardinalities_of_both_heads_alone(row: str, cardinalities: list[int]) -> None:
    run = resolved(PAPER, printed_cell("strm/table2", row, dataset="SSv2-Full")).run
    parts = run.model_dump(mode="json")["method"]["heads"]
    assert [head["matcher"]["cardinalities"] for head in parts] == [cardinalities, cardinalities]
    paths = {path.rstrip("0123456789").rstrip(".") for path in changes(FULL, run)}
    assert paths == {f"method.heads.{head}.matcher.cardinalities" for head in (0, 1)}


def test_a_fifth_of_the_tuples_is_another_test_of_the_same_training() -> None:
    found = resolved(PAPER, printed_cell("strm/fig6", "right: STRM, 20% of tuples"))
    assert found.run == FULL
    assert found.measured is not None
    fractions = {f"heads.{head}.matcher.tuple_fraction": (1.0, 0.2) for head in (0, 1)}
    assert changes(FULL.method, found.measured) == fractions
    tests = {EvalConfig(method=method).eval_id(found.run) for method in (None, found.measured)}
    assert len(tests) == 2


def test_the_test_with_fewer_tuples_keeps_the_loss_scale_of_the_recipe() -> None:
    recipe = recipe_of("SSv2-Full", 5, "molo")
    found = PAPER.resolve({**SETTINGS, "eval_tuple_fraction": 0.5}, recipe)
    assert found.measured is not None
    assert {head.reduction for head in found.measured.heads} == {head.reduction for head in found.run.method.heads}
    assert found.run.method.heads[0].reduction == "mean"


@pytest.mark.parametrize(("row", "method"), [("TRX (ViT)", trx.trx), ("STRM (ViT)", strm.strm)], ids=["TRX", "STRM"])
def test_other_backbones_start_from_published_weights(row: str, method: Variant) -> None:
    run = resolved(PAPER, printed_cell("strm/table1", row, dataset="SSv2-Full")).run
    assert run == RECIPE.with_backbone(Vit.Config()).few_shot(method(Vit.Config()))


def test_trx_has_pairs_and_triples_where_the_paper_does_not_say() -> None:
    run = PAPER.resolve({"method": "TRX", "backbone": "ResNet-50", "frames": 8}, RECIPE).run
    assert run.method == trx.trx(RECIPE.backbone, cardinalities=(2, 3))


def test_backbones_that_see_several_frames_start_from_kinetics_or_are_refused() -> None:
    for method in ("STRM", "TRX"):
        run = PAPER.resolve({"method": method, "backbone": "MViT"}, RECIPE).run
        assert run.method.backbone == Mvit.Config(weights="kinetics400")
        with pytest.raises(RefusedError, match="weights only for 18 layers"):
            PAPER.resolve({"method": method, "backbone": "3D ResNet-50"}, RECIPE)


def test_without_pretrained_weights_a_3d_resnet_is_trained_from_scratch() -> None:
    plain = RECIPE.with_backbone(ResNet3d.Config(weights="none"))
    run = PAPER.resolve({"method": "STRM", "backbone": "3D ResNet-50"}, plain).run
    assert run.method.backbone == ResNet3d.Config(depth=50, weights="none")


@pytest.mark.parametrize("preset", ["laptop", "laptop64", "smoke"])
def test_in_small_recipes_rows_of_other_backbones_stay_apart_and_keep_their_pretraining(preset: str) -> None:
    recipe = recipe_of("SSv2-Full", 5, preset)
    widths: list[int] = []
    for name in ("ResNet-50", "ResNet-101", "ResNet-152", "ViT", "3D ResNet-50", "MViT"):
        run = PAPER.resolve({**SETTINGS, "backbone": name}, recipe).run
        assert isinstance(run.method.backbone, SmallNet.Config)
        widths.append(run.method.backbone.channels)
        assert [need.run.method.backbone for need in run.needs] == [run.method.backbone]
    assert widths == [16, 18, 20, 22, 24, 26]


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"query_class_classifier": False}, "lambda weighs query_class_classifier, which is off; got 0.1"),
        ({"eval_tuple_fraction": 0.0}, "eval_tuple_fraction: "),
        ({"eval_remove": "sampler"}, "'eval_remove'"),
        ({"method": "SGTM"}, "method: "),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, str | float | bool], part: str) -> None:
    with pytest.raises(RefusedError) as caught:
        PAPER.resolve({**SETTINGS, **changed}, RECIPE)
    assert part in str(caught.value)
