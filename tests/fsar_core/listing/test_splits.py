import pytest

from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.listing import BENCHMARKS
from fsar_core.data.listing.names import bare, plain, ucf_class, youtube_id

CLASSES = {
    "ssv2_full": (64, 12, 24),
    "ssv2_full_77k": (64, 12, 24),
    "ssv2_small": (64, 12, 24),
    "kinetics100": (64, 12, 24),
    "ucf101": (70, 10, 21),
    "hmdb51": (31, 10, 10),
    "activitynet": (64, 12, 24),
}


@pytest.mark.parametrize("name", CLASSES)
def test_the_classes_of_a_split_are_disjoint_and_as_many_as_published(name: str) -> None:
    split_file = BENCHMARKS[name].split
    labels = [split_file.labels(split) for split in SPLITS]
    assert tuple(len(some) for some in labels) == CLASSES[name] == tuple(split_file.classes.of().values())
    assert len(split_file.by_name) == sum(CLASSES[name])
    assert all(list(some) == sorted(some) for some in labels)
    for split in SPLITS:
        assert sorted(split_file.numbered(split)) == list(split_file.labels(split))


def test_the_counts_are_those_that_papers_print() -> None:
    assert {name: tuple(one.expected().values()) for name, one in BENCHMARKS.items()} == {
        "ssv2_full": (67_013, 1_926, 2_857),
        "ssv2_full_77k": (77_500, 1_926, 2_857),
        "ssv2_small": (6_400, 1_200, 2_400),
        "kinetics100": (6_400, 1_200, 2_400),
        "ucf101": (9_154, 1_421, 2_745),
        "hmdb51": (4_280, 1_194, 1_292),
        "activitynet": (4_480, 840, 1_680),
    }
    assert sum(BENCHMARKS["ucf101"].expected().values()) == 13_320
    assert sum(BENCHMARKS["hmdb51"].expected().values()) == 6_766


def test_the_two_splits_of_ssv2_are_other_partitions() -> None:
    full, small = BENCHMARKS["ssv2_full"].split, BENCHMARKS["ssv2_small"].split
    assert len(set(small.train) & set(full.test)) == 9
    assert len(set(small.test) & set(full.train)) == 7
    assert len(small.by_name.keys() - full.by_name.keys()) == 45


def test_numbers_of_ssv2_small_are_not_sorted_and_all_others_are() -> None:
    for name, one in BENCHMARKS.items():
        is_sorted = all(one.split.numbered(split) == one.split.labels(split) for split in SPLITS)
        assert is_sorted == (name != "ssv2_small")
    assert BENCHMARKS["ssv2_small"].split.numbered("train")[0] == "Pouring something into something"


def test_names_are_cut_and_compared() -> None:
    assert plain("Hurling_(sport)") == plain("hurling sport") == "hurlingsport"
    assert bare("a.b.AVI") == "a.b"
    assert bare("some.clip") == "some.clip"
    assert youtube_id("-aB_0000001_000012_000022") == "-aB_0000001"
    assert youtube_id("v_-aB_0000001") == "-aB_0000001"
    assert youtube_id("v_aB_000001") == "v_aB_000001"
    assert youtube_id("too_short") == ""
    assert youtube_id("-aB_0000001_12_22") == ""
    assert ucf_class("v_HandStandPushups_g01_c02") == "HandStandPushups"
    assert ucf_class("HandStandPushups_g01_c02") == ""
