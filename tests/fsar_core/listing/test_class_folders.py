from pathlib import Path

import pytest

from fsar_core.data.listing import (
    BENCHMARKS,
    Annotations,
    BadLists,
    Stored,
    listing_from_classes,
    match,
    read_annotations,
    recognise,
)
from tests.fsar_core.listing.made_lists import as_found, as_made, in_class_folders, videos, write_ssv2_annotations


@pytest.mark.parametrize("benchmark", ["hmdb51", "ucf101"])
def test_class_folders_are_the_split(benchmark: str) -> None:
    kept = [*in_class_folders(benchmark), Stored("x", "Another", "Another/x")]
    listing = listing_from_classes(BENCHMARKS[benchmark], kept)
    assert as_found(listing) == as_made(benchmark)
    assert listing.tolerated == {"videos in folders of no class": 1}
    assert recognise(listing).absent == ()
    matched = match(listing, kept)
    assert (len(matched.found), matched.missing, matched.ambiguous) == (len(kept) - 1, (), ())


def test_flat_ucf_files_name_their_class() -> None:
    kept = [Stored(video, "", video) for _, _, _, video in videos("ucf101")]
    listing = listing_from_classes(BENCHMARKS["ucf101"], kept)
    assert as_found(listing) == as_made("ucf101")
    assert len(match(listing, kept).found) == len(kept)


def test_classes_that_are_not_stored_are_told_by_recognition() -> None:
    kept = [one for one in in_class_folders("hmdb51") if one.folder not in ("run", "wave")]
    known = recognise(listing_from_classes(BENCHMARKS["hmdb51"], kept))
    assert known.absent == ("wave", "run")
    assert known.expected == {"train": 4280, "val": 1194, "test": 1292}
    assert "classes without a video (2): 'wave', 'run'" in known.lines


def test_two_copies_of_a_video_are_one_listed_and_ambiguous() -> None:
    kept = [*in_class_folders("hmdb51"), Stored(videos("hmdb51")[0][3], "brush_hair", "copy")]
    listing = listing_from_classes(BENCHMARKS["hmdb51"], kept)
    assert len(listing.videos) == len(kept) - 1
    assert [video.label for video, _ in match(listing, kept).ambiguous] == ["brush_hair"]


def test_a_root_without_class_folders_is_told() -> None:
    with pytest.raises(BadLists, match=r"no folder is named like a class of hmdb51 \('brush_hair', 'catch', 'chew'"):
        listing_from_classes(BENCHMARKS["hmdb51"], [Stored("a", "videos", 1)])
    with pytest.raises(BadLists, match="there is nothing"):
        listing_from_classes(BENCHMARKS["ucf101"], [])


def test_ssv2_full_is_what_the_official_sets_say(tmp_path: Path) -> None:
    rows = [
        (video, label, "validation" if i % 2 else "train") for i, (_, label, _, video) in enumerate(videos("ssv2_full"))
    ]
    known = read_annotations(
        BENCHMARKS["ssv2_full"], write_ssv2_annotations(tmp_path, [*rows, ("5", "Another class", "train")])
    )
    sets = {video: where for video, _, where in rows}
    full = as_found(listing_from_classes(BENCHMARKS["ssv2_full"], [], known))
    own = {row for row in as_made("ssv2_full") if (sets[row[2]] == "train") == (row[0] == "train")}
    assert full == own
    more = as_found(listing_from_classes(BENCHMARKS["ssv2_full_77k"], [], known))
    assert more == own | {row for row in as_made("ssv2_full") if row[0] == "train"}


def test_annotations_without_all_classes_are_told() -> None:
    with pytest.raises(BadLists, match="classes without a video in the annotations"):
        listing_from_classes(BENCHMARKS["ssv2_full"], [], Annotations({"1": "Holding something"}, {"1": "train"}))


@pytest.mark.parametrize(
    ("benchmark", "told"),
    [
        ("ssv2_full", "give the official annotations \\(labels.json"),
        ("ssv2_small", "give its lists"),
        ("kinetics100", "give its lists"),
        ("activitynet", "give its lists"),
    ],
)
def test_a_choice_of_videos_needs_its_lists(benchmark: str, told: str) -> None:
    with pytest.raises(BadLists, match=told):
        listing_from_classes(BENCHMARKS[benchmark], [Stored("1", "", 1)])
