"""Every preset trains every method on every data set, and recorded runs keep their ids."""

import pytest

from fsar_core.config import EpisodeBatches, RunConfig
from fsar_core.methods import all_methods
from fsar_core.presets import PRESETS

DATASETS = ("hmdb51", "ucf101", "kinetics100", "ssv2_small", "ssv2_full", "ssv2_full_77k", "my_videos", "motionshapes")
TOO_SMALL = {("laptop", "vim"), ("smoke", "vim")}
"""VIM aligns maps of at least 4x4 cells."""

RECORDED = {
    ("clean", "kinetics100", "sgtm", "sgtm"): ("e944873f00f6efbd", "64c0e53c76396d53"),
    ("clean", "hmdb51", "trx", "trx"): ("3473dd4ff0cce50e",),
    ("clean", "ssv2_full", "hyrsm", "hyrsm"): ("9f7518b7022af5e6",),
    ("clean", "ssv2_small", "i2st", "i2st"): ("9be3ccaf6392061e",),
    ("clean", "ucf101", "vim", "vim"): ("894bd8530b5990a7",),
    ("clean", "my_videos", "frame_matching", "otam"): ("7d03dd45b0020e8b",),
    ("laptop", "motionshapes", "sgtm", "sgtm"): ("ccee3de20efe5636", "67e7253bb486a9d7", "5f023a9ea682123d"),
    ("laptop", "motionshapes", "strm", "strm"): ("7bcad2f487a1b255", "67e7253bb486a9d7"),
    ("laptop64", "motionshapes", "vim", "vim"): ("c40bcb50fb23b64a", "a19a7f4ec2a97630"),
    ("smoke", "motionshapes", "frame_matching", "bimhm"): ("7c144c6bfa397d93", "adcc315366261e34"),
    ("smoke", "hmdb51", "sgtm", "random_mask"): ("7248cf7b2d997a17", "60abc414ecb9b321"),
}
"""Ids of runs, and of those that they need first, from before there were published presets."""


def planned(preset: str, dataset: str, method: str, variant: str, shot: int | None = None) -> RunConfig:
    recipe = PRESETS[preset](dataset)
    recipe = recipe if shot is None else recipe.with_shot(shot)
    own = all_methods()[method]
    return own.run(recipe, own.variants[variant](recipe.backbone))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_method_is_a_valid_run_on_every_data_set(preset: str) -> None:
    for dataset in DATASETS:
        for name, method in all_methods().items():
            if (preset, name) not in TOO_SMALL:
                run = planned(preset, dataset, name, next(iter(method.variants)))
                assert RunConfig.model_validate_json(run.model_dump_json()).run_id() == run.run_id()
                assert run.data.dataset == dataset


@pytest.mark.parametrize("preset", PRESETS)
def test_every_variant_is_a_valid_run_for_each_number_of_shots(preset: str) -> None:
    for name, method in all_methods().items():
        for variant in () if (preset, name) in TOO_SMALL else method.variants:
            for shot in (1, 5):
                run = planned(preset, "ssv2_small", name, variant, shot)
                assert isinstance(run.batches, EpisodeBatches)
                assert run.batches.shot == shot


@pytest.mark.parametrize("case", RECORDED, ids="-".join)
def test_runs_that_were_recorded_keep_their_ids(case: tuple[str, str, str, str]) -> None:
    run = planned(*case)
    assert (run.run_id(), *(need.run.run_id() for need in run.needs)) == RECORDED[case]


def test_no_two_presets_train_alike() -> None:
    ids = [planned(name, "hmdb51", "frame_matching", "otam").run_id() for name in PRESETS]
    assert len(set(ids)) == len(PRESETS)
