import pytest

from fsar_core.data.listing import BENCHMARKS, Listed, Listing, recognise, which_known
from tests.fsar_core.listing.made_lists import full


@pytest.mark.parametrize("benchmark", sorted(BENCHMARKS))
def test_a_complete_list_is_named_with_its_counts(benchmark: str) -> None:
    known = recognise(full(benchmark))
    counts = " / ".join(f"{count:,}" for count in BENCHMARKS[benchmark].expected().values())
    assert known.version.startswith(f"{BENCHMARKS[benchmark].title}, split of ")
    assert "complete" in known.version
    assert f"{counts} videos" in known.version
    assert (known.absent, known.lines) == ((), ())
    assert known.expected == BENCHMARKS[benchmark].expected()


def test_the_kinetics_lists_are_told_apart_as_far_as_counts_and_form_tell() -> None:
    cmn = recognise(full("kinetics100")).version
    assert "CMN's list by its form (the counts of CMN's and the repaired list are the same)" in cmn
    repaired = recognise(full("kinetics100", "label//path")).version
    assert "the repaired list of HyRSM, MoLo and CLIP-FSAR (6,221 / 1,159 / 2,343 clips are in CMN's too)" in repaired
    dropped = recognise(full("kinetics100", less={"train": 13, "test": 3})).version
    assert "CMN's list without the clips that TA2N dropped" in dropped
    other = recognise(full("kinetics100", less={"train": 14})).version
    assert "not the counts of a published list (6,400 / 1,200 / 2,400)" in other


def test_other_counts_and_odd_classes_are_told() -> None:
    text = which_known(full("ssv2_small", less={"val": 2}))
    assert (
        "not the published counts (6,400 / 1,200 / 2,400): 64 / 12 / 24 classes, 6,400 / 1,198 / 2,400 videos" in text
    )
    assert "classes with fewer or more videos than any of their split as published (2): " in text
    assert "(99)" in text


def test_absent_classes_are_named() -> None:
    listing = full("hmdb51")
    kept = Listing(tuple(video for video in listing.videos if video.label != "run"), "hmdb51", "class folders")
    known = recognise(kept)
    assert known.absent == ("run",)
    assert "classes without a video (1): 'run'" in known.lines


def test_a_data_set_of_ones_own_has_no_published_counts() -> None:
    listing = Listing((Listed("train", "a", "1"), Listed("test", "b", "1")), "", "class/video")
    known = recognise(listing)
    assert known.expected is None
    assert known.version == (
        "a data set of your own: 1 / 0 / 1 classes, 1 / 0 / 1 videos (train / val / test), listed as class/video"
    )
