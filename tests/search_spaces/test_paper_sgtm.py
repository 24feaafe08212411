"""SGTM's tables as runs."""

import pytest

from fsar_core.matchers import BiMhm, Otam
from fsar_core.methods import sgtm
from search_spaces.papers.paper import RefusedError
from search_spaces.papers.sgtm import PAPER
from tests.search_spaces.paper_cells import (
    changes,
    listed_sharing,
    printed_cell,
    recipe_of,
    resolved,
    sharing,
    trainings,
    walked,
)

RECIPE = recipe_of("Kinetics", 1)
FULL = sgtm.run(RECIPE, sgtm.sgtm(RECIPE.backbone))
SETTINGS = printed_cell("sgtm/table1", "Ours+OTAM").settings
LOSS = "method.losses.0"


def refusal(**changed: str | int | float | bool | None) -> str:
    with pytest.raises(RefusedError) as caught:
        PAPER.resolve({**SETTINGS, **changed}, RECIPE)
    return str(caught.value)


@pytest.mark.parametrize("preset", ["clean", "molo", "laptop", "laptop64"])
def test_every_accuracy_is_a_run_and_they_share_trainings_as_listed(preset: str) -> None:
    found, refused = walked(PAPER, preset)
    assert (len(found), refused) == (60, {})
    assert sharing(found) == listed_sharing("sgtm")
    assert len(sharing(found)) == trainings("sgtm") == 48
    assert not any(one.measured for one in found.values())


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("table1", "Ours+OTAM"),
        ("table3", "Ours (Encoder+TML+SGTM)"),
        ("table4", "Ours"),
        ("table5", "λ=0.5"),
        ("table6", "Ours"),
    ],
)
def test_the_full_method_is_one_run_in_all_tables(table: str, row: str) -> None:
    assert resolved(PAPER, printed_cell(f"sgtm/{table}", row, dataset="Kinetics", shot=1)).run == FULL


@pytest.mark.parametrize(("row", "weight"), [("λ=0", 0.0), ("λ=0.1", 0.1), ("λ=0.3", 0.3), ("λ=0.7", 0.7)])
def test_a_row_of_table_5_changes_the_weight_alone(row: str, weight: float) -> None:
    run = resolved(PAPER, printed_cell("sgtm/table5", row, dataset="Kinetics")).run
    assert changes(FULL, run) == {f"{LOSS}.weight": (0.5, weight)}


@pytest.mark.parametrize(
    ("row", "strategy"),
    [
        ("4 frames with the highest saliency", "top"),
        ("4 frames with the lowest saliency", "bottom"),
        ("4 frames with saliency in the middle", "middle"),
    ],
)
def test_a_row_of_table_4_changes_which_frames_are_masked_and_not_how_many(row: str, strategy: str) -> None:
    run = resolved(PAPER, printed_cell("sgtm/table4", row, shot=1)).run
    assert changes(FULL, run) == {f"{LOSS}.strategy": ("ambiguous_visible", strategy)}


def test_the_rows_of_table_3_add_encoder_random_mask_and_saliency() -> None:
    built = {
        "Baseline": sgtm.baseline(RECIPE.backbone),
        "1 (Encoder)": sgtm.encoder_only(RECIPE.backbone),
        "2 (Encoder+TML)": sgtm.random_mask(RECIPE.backbone),
    }
    for row, method in built.items():
        assert resolved(PAPER, printed_cell("sgtm/table3", row, shot=1)).run == RECIPE.few_shot(method)
    assert [need.target for need in FULL.needs] == ["losses.0.guide"]


def test_bi_mhm_stands_in_the_place_of_otam() -> None:
    run = resolved(PAPER, printed_cell("sgtm/table1", "Ours+Bi-MHM", dataset="Kinetics", shot=1)).run
    assert run.method.heads == (FULL.method.heads[0].model_copy(update={"matcher": BiMhm.Config()}),)
    assert FULL.method.heads[0].matcher == Otam.Config()
    assert {path.split(".")[:2][-1] for path in changes(FULL, run)} == {"heads"}


def test_each_number_of_shots_is_trained_by_itself() -> None:
    run = resolved(PAPER, printed_cell("sgtm/table1", "Ours+OTAM", dataset="Kinetics", shot=5)).run
    assert changes(FULL, run) == {"batches.shot": (1, 5)}


def test_a_printed_size_is_that_of_the_full_method() -> None:
    assert PAPER.resolve(printed_cell("sgtm/text", "Ours").settings, RECIPE).run == FULL


def test_a_share_of_masked_frames_is_out_of_all_frames() -> None:
    run = PAPER.resolve({**SETTINGS, "frames": 16}, RECIPE).run
    assert changes(FULL.data, run.data) == {"frames": (8, 16)}
    assert changes(FULL.method, run.method) == {"losses.0.ratio": (0.5, 0.25)}


def test_what_is_not_understood_is_refused_all_at_once() -> None:
    said = refusal(frame_metric="dtw", masked_frames=-1, blur=True, encodr=False)
    for part in ("frame_metric: ", "got 'dtw'", "masked_frames: ", "got -1", "'blur'", "did you mean 'encoder'"):
        assert part in said


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"masked_frames": 2}, "masked_frames must be 4 with mask_selection 'top2+bottom2_saliency', got 2"),
        ({"encoder": False}, "masks the tokens of the encoder, which is off"),
        ({"mask_selection": None, "masked_frames": 0}, "mask_selection goes with temporal_mask_learning"),
        ({"temporal_mask_learning": False}, "lambda weighs temporal_mask_learning, which is off; got 0.5"),
        ({"method": "TRX"}, "method: "),
        ({"lambda": "much"}, "lambda: "),
        ({"backbone": "VGG"}, "backbone: "),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changed: dict[str, str | int | None], part: str) -> None:
    assert part in refusal(**changed)


def test_a_row_without_a_method_is_refused() -> None:
    with pytest.raises(RefusedError, match="method must be stated"):
        PAPER.resolve({"backbone": "ResNet-50"}, RECIPE)
