"""What the published presets fix, against numbers copied by hand from the code bases."""

from typing import Any

import pytest

from fsar_core.data.config import NORMALISATIONS, Flip, Jitter
from fsar_core.data.resize import Resize
from fsar_core.methods import all_methods
from fsar_core.methods.hyrsm import CLASSIFIER_WEIGHTS
from fsar_core.presets import PAPER_DATASETS, PRESETS, Recipe, clean, paper_dataset

SQUEEZED, SHORT_SIDE = Resize(mode="squeeze", size=256), Resize(mode="short_side", size=256)
TRX = ("jitter-ends", "inner-linspace", SHORT_SIDE)
TRX_SSV2 = ("linspace", "linspace", SQUEEZED)
SEGMENTS = ("segment-random", "segment-random", SQUEEZED)
STRIDES = ("strided", "strided-centre", SQUEEZED)

# TRX: run.py and video_reader.py at 390c20a; STRM: scripts/ at 54368fe; HyRSM: configs/projects/hyrsm at f5743b6;
# MoLo: configs/projects/MoLo at 460aee4 (of CLIP-FSAR's repository); TA2N: run_ta2n.py and experiments/ at 0e2a77b.
#                            frames and size, rate, shot, queries, tasks a step, steps, looks
FACTS: dict[tuple[str, str], tuple[tuple[Any, ...], float, int, int, int, int, int]] = {
    ("trx", "hmdb51"): (TRX, 1e-3, 5, 5, 16, 10_000 // 16, 21),
    ("trx", "ucf101"): (TRX, 1e-3, 5, 5, 16, 10_000 // 16, 21),
    ("trx", "kinetics100"): (TRX, 1e-3, 5, 5, 16, 10_000 // 16, 21),
    ("trx", "ssv2_small"): (TRX_SSV2, 1e-3, 5, 5, 16, 10_000 // 16, 21),
    ("trx", "ssv2_full"): (TRX_SSV2, 1e-3, 5, 5, 16, 4687, 21),
    ("strm", "hmdb51"): (TRX, 1e-4, 5, 4, 16, 10_000 // 16, 21),
    ("strm", "ucf101"): (TRX, 1e-4, 5, 4, 16, 10_000 // 16, 21),
    ("strm", "kinetics100"): (TRX, 1e-4, 5, 5, 16, 10_000 // 16, 21),
    ("strm", "ssv2_small"): (TRX_SSV2, 1e-3, 5, 4, 16, 10_000 // 16, 21),
    ("strm", "ssv2_full"): (TRX_SSV2, 1e-3, 5, 4, 16, 4687, 21),
    ("hyrsm", "hmdb51"): (SEGMENTS, 5e-5, 1, 7, 8, 2_000 // 2, 2_000 // 50),
    ("hyrsm", "ucf101"): (SEGMENTS, 5e-5, 1, 7, 16, 2_500 // 4, 2_500 // 100),
    ("hyrsm", "kinetics100"): (STRIDES, 2.2e-5, 1, 7, 16, 1_200 // 4, 1_200 // 50),
    ("hyrsm", "ssv2_small"): (SEGMENTS, 1e-4, 1, 7, 16, 20_000 // 4, 20_000 // 1_000),
    ("hyrsm", "ssv2_full"): (SEGMENTS, 1e-4, 1, 7, 16, 40_000 // 4, 40_000 // 1_000),
    ("molo", "hmdb51"): (SEGMENTS, 5e-5, 1, 6, 16, 2_000 // 4, 2_000 // 100),
    ("molo", "ucf101"): (SEGMENTS, 5e-5, 1, 6, 16, 6_000 // 4, 6_000 // 100),
    ("molo", "kinetics100"): (STRIDES, 2e-5, 1, 6, 16, 5_000 // 4, 5_000 // 20),
    ("molo", "ssv2_small"): (SEGMENTS, 1e-4, 1, 6, 16, 20_000 // 4, 20_000 // 1_000),
    ("molo", "ssv2_full"): (SEGMENTS, 1e-4, 1, 6, 16, 50_000 // 4, 50_000 // 1_000),
    ("vim", "hmdb51"): (TRX, 1e-2, 1, 5, 16, 100_020 // 16, 481),
    ("vim", "ssv2_full"): (TRX, 1e-2, 1, 5, 16, 100_020 // 16, 481),
}

FAMILIES = {
    "trx": (NORMALISATIONS["none"], Flip(support=0.5, query=0.5), None, "sgd", 0.0, "sum", ("last", "val", 2_000)),
    "strm": (NORMALISATIONS["none"], Flip(support=0.5, query=0.5), None, "sgd", 0.0, "sum", ("last", "val", 2_000)),
    "hyrsm": (NORMALISATIONS["codebase"], Flip(query=0.5), Jitter(), "adam", 1e-3, "mean", ("best", "test", 10_000)),
    "molo": (NORMALISATIONS["codebase"], Flip(query=0.5), Jitter(), "adam", 1e-3, "mean", ("best", "test", 10_000)),
    "vim": (
        NORMALISATIONS["imagenet"],
        Flip(support=0.5, query=0.5),
        None,
        "sgd",
        0.0,
        "sum",
        ("best", "test", 3_000),
    ),
}

# Rates after so many tasks of one process, read off the code's schedule: the unit passes at double speed.
HYRSM_RATES = {
    "hmdb51": (2, {0: 1e-5, 298: 5e-5 - 4e-5 / 150, 300: 2.5e-5, 600: 5e-6, 1_200: 5e-7, 1_998: 5e-7}),
    "ucf101": (4, {0: 1e-5, 700: 5e-5, 1_396: 5e-5, 1_400: 2.5e-5, 2_100: 5e-6, 2_496: 5e-6}),
    "kinetics100": (4, {0: 5e-6, 100: 2.2e-5, 196: 2.2e-5, 200: 1.1e-5, 300: 2.2e-6, 500: 1.1e-6, 1_196: 1.1e-6}),
    "ssv2_small": (4, {0: 2e-5, 1_500: 1e-4, 2_996: 1e-4, 3_000: 1e-5, 6_000: 1e-6, 19_996: 1e-6}),
    "ssv2_full": (4, {0: 2e-5, 3_000: 1e-4, 8_996: 1e-4, 9_000: 1e-5, 15_000: 1e-6, 39_996: 1e-6}),
}


def rate(recipe: Recipe, step: int) -> float:
    course = recipe.episodes
    return course.optimizer.lr * course.schedule.factor(step, course.training.steps)


@pytest.mark.parametrize(("preset", "dataset"), FACTS, ids="-".join)
def test_frames_episodes_and_lengths_are_those_of_the_code(preset: str, dataset: str) -> None:
    recipe, (frames, lr, *shape, steps, looks) = PRESETS[preset](dataset), FACTS[preset, dataset]
    data, batches, training = recipe.data, recipe.episodes.batches, recipe.episodes.training
    assert batches.kind == "episodes"
    assert (data.train_sampling, data.test_sampling, data.resize) == frames
    assert (data.frames, data.crop, data.random_crop) == (8, 224, True)
    assert recipe.episodes.optimizer.lr == lr
    assert [batches.way, batches.shot, batches.queries, batches.per_step] == [5, *shape]
    assert training.steps == steps
    assert -(-training.steps // training.val_every) == looks


@pytest.mark.parametrize("dataset", PAPER_DATASETS)
@pytest.mark.parametrize("preset", FAMILIES)
def test_augmentation_optimiser_loss_and_selection_are_those_of_the_family(preset: str, dataset: str) -> None:
    recipe, (normalisation, flip, jitter, kind, decay, scale, selection) = PRESETS[preset](dataset), FAMILIES[preset]
    no_flip = preset == "vim" and dataset.startswith("ssv2")
    assert recipe.data.normalisation == normalisation
    assert recipe.data.flip == (Flip() if no_flip else flip)
    assert recipe.data.jitter == jitter
    optimizer = recipe.episodes.optimizer
    assert (optimizer.kind, optimizer.weight_decay, optimizer.momentum) == (kind, decay, 0.0)
    assert recipe.loss_scale == scale
    assert (recipe.selection.keep, recipe.selection.on, recipe.selection.episodes) == selection
    assert (recipe.backbone.kind, recipe.backbone.weights) == ("resnet", "imagenet")


@pytest.mark.parametrize("dataset", HYRSM_RATES)
def test_hyrsm_s_rate_follows_its_units_as_they_really_pass(dataset: str) -> None:
    per_step, rates = HYRSM_RATES[dataset]
    for task, lr in rates.items():
        assert rate(PRESETS["hyrsm"](dataset), task // per_step + 1) == pytest.approx(lr), task


@pytest.mark.parametrize("preset", ["trx", "strm"])
def test_the_rate_of_trx_and_strm_never_changes(preset: str) -> None:
    recipe = PRESETS[preset]("ssv2_full")
    assert {rate(recipe, step) for step in (1, 100, 4687)} == {1e-3}


def test_vim_s_rate_falls_by_a_tenth_at_each_third() -> None:
    recipe = PRESETS["vim"]("ucf101")
    assert [rate(recipe, step) for step in (1, 2084, 2085, 4167, 4168, 6251)] == pytest.approx(
        [1e-2, 1e-2, 9e-3, 9e-3, 8.1e-3, 8.1e-3]
    )


def test_hyrsm_asks_fewer_queries_the_more_supports_there_are() -> None:
    def queries(preset: str, shot: int) -> int:
        batches = PRESETS[preset]("ucf101").with_shot(shot).episodes.batches
        assert batches.kind == "episodes"
        assert batches.shot == shot
        return batches.queries

    assert [queries("hyrsm", shot) for shot in (1, 2, 3, 4, 5, 10)] == [7, 6, 5, 4, 3, 3]
    assert [queries("molo", shot) for shot in (1, 5)] == [6, 6]
    assert [queries("trx", shot) for shot in (1, 5)] == [5, 5]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ssv2_full", "ssv2_full"),
        ("ssv2_full_77k", "ssv2_full"),
        ("kinetics100-hyrsm", "kinetics100"),
        ("hmdb51.v2", "hmdb51"),
        ("ssv2", None),
        ("ssv2_fuller", None),
        ("hmdb511", None),
        ("my_videos", None),
    ],
)
def test_a_version_of_a_data_set_of_the_papers_is_known_by_its_name(name: str, known: str | None) -> None:
    assert paper_dataset(name) == known


@pytest.mark.parametrize("preset", ["clean", *FAMILIES])
def test_versions_of_a_data_set_are_trained_alike_and_others_as_hmdb51(preset: str) -> None:
    def of(dataset: str) -> Recipe:
        recipe = PRESETS[preset](dataset)
        return recipe.model_copy(update={"data": recipe.data.model_copy(update={"dataset": "any"})})

    assert of("ssv2_full_77k") == of("ssv2_full") != of("ssv2_small") or preset == "vim"
    assert of("my_videos") == of("hmdb51")


def test_methods_know_the_versions_of_a_data_set_too() -> None:
    hyrsm, i2st = all_methods()["hyrsm"], all_methods()["i2st"]
    for method in (hyrsm, i2st):
        runs = [
            method.run(clean(name), next(iter(method.variants.values()))(clean(name).backbone))
            for name in ("ssv2_full", "ssv2_full_77k", "my_videos")
        ]
        losses = [[loss.weight for loss in run.method.losses] for run in runs]
        assert losses[0] == losses[1] != losses[2]
    assert CLASSIFIER_WEIGHTS["ssv2_full"] == 0.6


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_says_in_a_line_what_it_is_and_a_published_one_what_it_leaves_out(preset: Any) -> None:
    assert preset.about().endswith(".")
    assert len(preset.about()) < 120
    heads = [note.partition(":")[0] for note in preset.notes()]
    assert heads == (["Source", "Silent", "Not imitated"] if preset.name in FAMILIES else heads)
