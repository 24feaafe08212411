"""VIM's tables as runs: which of them share a training, and what tells each row from the full method."""

import pytest

from fsar_core.config import RunConfig
from fsar_core.methods import frame_matching, hyrsm, trx, vim
from search_spaces.papers.vim import PAPER
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

AS_BUILT = {
    "table1": {"ProtoNet*": "protonet", "VIM (Ours)": "vim"},
    "table2": {"ProtoNet*": "protonet", "VIM (Ours)": "vim"},
    "table3": {"OTAM+VIM": "otam_host", "TRX+VIM": "trx_host", "HyRSM+VIM": "hyrsm_host"},
    "table4": {
        "none (ProtoNet)": "protonet",
        "sampler": "sampler_no_loss",
        "sampler+L_intra": "no_alignment",
        "alignment": "alignment_no_loss",
        "alignment+L_inter": "no_sampler",
        "sampler+alignment": "no_losses",
        "sampler+alignment+L_intra": "no_inter",
        "sampler+alignment+L_inter": "no_intra",
        "sampler+alignment+L_intra+L_inter": "vim",
    },
    "table5": {
        "TS": "ts_only",
        "SA": "sa_only",
        "TS+SA": "ts_sa",
        "TS+Ada": "ts_ada",
        "SA+Ada": "sa_ada",
        "TS+SA+Ada": "no_alignment",
        "TC": "tc_only",
        "SC": "sc_only",
        "TC+SC": "no_sampler",
        "TS+Ada+TC+SC": "no_amplifier",
        "SA+Ada+TC+SC": "no_ts",
        "TS+SA+Ada+TC": "no_sc",
        "TS+SA+Ada+SC": "no_tc",
        "TS+SA+Ada+TC+SC": "vim",
    },
    "table6": {"M=20": "vim"},
    "table7": {"T=8": "vim"},
    "table8": {"64×64 (default)": "vim"},
    "table9": {"ShuffleNetV2 0.5× (default)": "vim"},
    "table10": {"None": "no_amplifier", "Amplifying (Ours)": "vim", "Cropping": "crop"},
    "table11": {
        "ProtoNet": "protonet",
        "ProtoNet + MGSampler": "mgsampler",
        "ProtoNet + Our TS": "ts_ada",
        "ProtoNet + Our Sampler (with L_intra)": "no_alignment",
    },
    "table12": {
        "Baseline (ProtoNet)": "protonet",
        "+ Temporal Transformation": "transform_only",
        "+ Temporal Re-arrangement": "rearrange_only",
        "+ Both": "tc_only",
    },
    "table13": {
        "Enumerate": "enumerate",
        "Affine Transformation": "affine",
        "Mask-based (Our implementation)": "vim",
    },
    "table14": {"Temporal first (default)": "vim", "Spatial First": "spatial_first"},
    "table15": {
        "Soft-DTW": "soft_dtw",
        "Drop-DTW": "drop_dtw",
        "VAVA": "vava",
        "Ours (w/o L_inter)": "no_inter",
        "Ours (with L_inter)": "vim",
    },
    "table16": {
        "mu1=1, mu2=0": "no_inter",
        "mu1=0, mu2=1": "no_intra",
        "mu1=1, mu2=0.5": "intra_1_inter_half",
        "mu1=0.5, mu2=1": "vim",
        "mu1=1, mu2=1": "intra_1_inter_1",
    },
    "table17": {
        "VIM": "vim",
        "Remove sampler during testing": "vim",
        "Remove alignment during testing": "vim",
        "Individual sampler": "no_alignment",
        "Individual alignment": "no_sampler",
    },
    "table18": {"ProtoNet 8 frames 224×224": "protonet", "+ Our sampler 8 frames 224×224": "no_alignment"},
    "table19": {
        "Baseline": "protonet",
        "+ Temporal Exhaustive": "exhaustive_temporal",
        "+ Spatial Exhaustive": "exhaustive_spatial",
        "+ Both (exhaustive)": "exhaustive",
        "+ Our Temporal Coordination": "tc_only",
        "+ Our Spatial Coordination": "sc_only",
        "+ Both (Our complete alignment)": "no_sampler",
    },
    "fig21": {
        f"{way}: {label}": variant
        for way in ("UCF→UCF", "HMDB→HMDB", "SSv2→SSv2", "Kinetics→UCF", "Kinetics→HMDB", "Kinetics→SSv2")
        for label, variant in (("ProtoNet", "protonet"), ("VIM", "vim"))
    },
    "fig22": {"ProtoNet": "protonet", "VIM (Ours)": "vim"},
}
"""The rows that ``fsar_core`` has as variants of the method; ``test_vim_rows`` says of what those are made."""

KEEP, FRAMES = "method.frame_sampler.keep", "data.frames"
SCAN, NETWORK = "method.frame_sampler.scan_size", "method.frame_sampler.scan_network.name"
CROP, RESIZE = "data.crop", "data.resize.size"
DIFFERENT: dict[str, dict[str, tuple[str, dict[str, tuple[object, object]]]]] = {
    "table6": {f"M={dense}": ("vim", {FRAMES: (20, dense)}) for dense in (14, 16, 18, 24, 28, 32)},
    "table7": {f"T={keep}": ("vim", {KEEP: (8, keep)}) for keep in (4, 6, 10, 12, 14)},
    "table8": {f"{size}×{size}": ("vim", {SCAN: (64, size)}) for size in (32, 128, 224)},
    "table9": {
        "ShuffleNetV2 1.5×": ("vim", {NETWORK: ("shufflenet_v2_x0_5", "shufflenet_v2_x1_5")}),
        "MobileNetV2": ("vim", {NETWORK: ("shufflenet_v2_x0_5", "mobilenet_v2")}),
    },
    "table18": {
        "ProtoNet 8 frames 448×448": ("protonet", {CROP: (224, 448), RESIZE: (256, 512)}),
        "ProtoNet 20 frames 224×224": ("protonet", {FRAMES: (8, 20)}),
        "ProtoNet 20 frames 448×448": ("protonet", {CROP: (224, 448), RESIZE: (256, 512), FRAMES: (8, 20)}),
    },
}
"""The other rows of VIM, by the variant that they start from and all that changes."""

OTHERS = {
    "table2": {"OTAM*": "OTAM", "TRX*": "TRX", "HyRSM*": "HyRSM"},
    "fig21": {f"Kinetics→{tested}: {name}": name for tested in ("UCF", "HMDB", "SSv2") for name in ("OTAM", "HyRSM")},
}
NO_WEIGHTS = {"ShuffleNetV1 2.0×", "0.75× MobileNetV1"}
"""Of table 9, where the others start from ImageNet."""
PLACES = [(table, name) for table, rows in AS_BUILT.items() for name in rows]
CHANGED = [(table, name) for table, rows in DIFFERENT.items() for name in rows]


def built(table: str, name: str, variant: str, preset: str = "clean") -> tuple[RunConfig, RunConfig]:
    """The run of a row's first cell, and that of a variant under the same recipe."""
    cell = printed_cell(f"vim/{table}", name)
    recipe = recipe_of(str(cell.settings["train_dataset"]), cell.shot or 1, preset)
    return resolved(PAPER, cell, preset).run, vim.run(recipe, vim.METHOD.variants[variant](recipe.backbone))


def test_every_accuracy_but_those_without_weights_is_a_run_and_they_share_trainings_as_listed() -> None:
    found, refused = walked(PAPER, "clean")
    assert len(found) + len(refused) == 349
    assert {(number.table, number.row) for number in refused} == {("table9", name) for name in NO_WEIGHTS}
    assert all("weights exist as a file of its authors only" in why for why in refused.values())
    assert sharing(found) == listed_sharing("vim", without=refused)
    assert trainings("vim") == 235
    assert len(sharing(found)) == 231  # each refused row is one training per number of shots
    assert sorted(number.shot for number in refused) == ["1", "1", "5", "5"]


def test_under_a_small_preset_without_weights_all_accuracies_are_runs_and_rows_stay_apart() -> None:
    found, refused = walked(PAPER, "laptop64")
    assert (len(found), refused) == (349, {})
    assert sharing(found) == listed_sharing("vim")
    assert len(sharing(found)) == 235


def test_every_row_is_listed_here() -> None:
    found, refused = walked(PAPER, "clean")
    listed = {*PLACES, *CHANGED, *(("table9", name) for name in NO_WEIGHTS)}
    listed |= {(table, name) for table, rows in OTHERS.items() for name in rows}
    assert {(number.table, number.row) for number in (*found, *refused)} == listed


@pytest.mark.parametrize("preset", ["clean", "vim", "laptop64"])
@pytest.mark.parametrize(("table", "name"), PLACES)
def test_a_row_is_the_method_that_is_built_under_its_name(table: str, name: str, preset: str) -> None:
    run, variant = built(table, name, AS_BUILT[table][name], preset)
    assert changes(variant, run) == {}
    assert run.run_id() == variant.run_id()


@pytest.mark.parametrize(("table", "name"), CHANGED)
def test_a_row_of_numbers_changes_these_alone(table: str, name: str) -> None:
    variant, expected = DIFFERENT[table][name]
    run, start = built(table, name, variant)
    assert changes(start, run) == expected


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, rows in OTHERS.items() for name in rows])
def test_methods_that_are_trained_again_are_their_own(table: str, name: str) -> None:
    cell = printed_cell(f"vim/{table}", name)
    recipe = recipe_of(str(cell.settings["train_dataset"]), 1)
    expected = {
        "OTAM": lambda: frame_matching.run(recipe, frame_matching.otam(recipe.backbone)),
        "TRX": lambda: trx.run(recipe, trx.trx(recipe.backbone)),
        "HyRSM": lambda: hyrsm.run(recipe, hyrsm.hyrsm(recipe.backbone)),
    }
    assert resolved(PAPER, cell).run == expected[OTHERS[table][name]]()


def test_only_the_rows_of_table_17_measure_another_method() -> None:
    found, _ = walked(PAPER, "clean")
    others = {(number.table, number.row) for number, own in found.items() if own.measured is not None}
    assert others == {("table17", f"Remove {part} during testing") for part in ("sampler", "alignment")}
