import random
import sys
from collections import Counter

import pytest

from fsar_core.data.listing import Listed, Listing, Matched, Stored, match
from tests.fsar_core.listing.made_lists import videos


def listing(benchmark: str, *rows: tuple[str, str] | tuple[str, str, str]) -> Listing:
    """Rows of (label, video[, hint])."""
    kept = tuple(Listed("train", row[0], row[1], hint=row[2] if len(row) == 3 else "") for row in rows)
    return Listing(kept, benchmark, "class/video")


def stored(*paths: str) -> list[Stored[str]]:
    """Each path is its own location."""
    return [Stored(path.rpartition("/")[2], path.rpartition("/")[0].rpartition("/")[2], path) for path in paths]


def found(matched: Matched[str]) -> list[str]:
    return [one.location for _, one in matched.found]


def test_the_same_name_comes_before_the_same_letters() -> None:
    made = listing("hmdb51", ("run", "A_[b]*!#&()+;@~"), ("run", "c_d"))
    matched = match(made, stored("run/ab", "run/A_[b]*!#&()+;@~", "run/C-D", "run/e"))
    assert found(matched) == ["run/A_[b]*!#&()+;@~", "run/C-D"]
    assert (matched.missing, matched.ambiguous, matched.unused) == ((), (), 2)
    assert matched.ways == {"name": 1, "letters and digits": 1}


def test_handstand_pushups_are_found_in_either_spelling() -> None:
    for listed in ("v_HandStandPushups_g01_c01", "v_HandstandPushups_g01_c01"):
        for kept in ("v_HandStandPushups_g01_c01", "v_HandstandPushups_g01_c01", "v_handstandpushups_g01_c01"):
            made = listing("ucf101", ("HandstandPushups", listed), ("PushUps", "v_PushUps_g01_c01"))
            matched = match(made, stored(f"HandstandPushups/{kept}", "PushUps/v_PushUps_g01_c01"))
            assert len(matched.found) == 2


def test_equal_names_are_told_apart_by_their_class_folder() -> None:
    made = listing("", ("jump", "001"), ("high jump", "001"), ("sit", "002"))
    matched = match(made, stored("High_Jump/001", "jump/001", "elsewhere/002"))
    assert found(matched) == ["jump/001", "High_Jump/001", "elsewhere/002"]


def test_a_video_in_the_folder_of_another_class_is_another() -> None:
    made = listing("", ("jump", "001"), ("sit", "002"))
    matched = match(made, stored("sit/001", "sit/002"))
    assert [video.label for video in matched.missing] == ["jump"]
    assert matched.unused == 1
    by_id = listing("ssv2_small", ("Folding something", "7"), ("Opening something", "8"))
    assert found(match(by_id, stored("Opening_something/7", "Opening_something/8"))) == [
        "Opening_something/7",
        "Opening_something/8",
    ]


def test_what_may_be_several_is_never_guessed() -> None:
    made = listing("hmdb51", ("run", "a"), ("run", "b"))
    matched = match(made, stored("run/a", "copy/run/a", "run/b"))
    assert found(matched) == ["run/b"]
    ((video, candidates),) = matched.ambiguous
    assert video.video == "a"
    assert [one.location for one in candidates] == ["run/a", "copy/run/a"]
    assert matched.unused == 0


def test_one_file_is_never_two_videos() -> None:
    two_classes = match(listing("", ("jump", "a"), ("sit", "a")), stored("flat/a"))
    assert (two_classes.found, len(two_classes.ambiguous)) == ((), 2)
    two_spellings = match(listing("", ("jump", "a-1"), ("jump", "a_1")), stored("jump/a 1"))
    assert (two_spellings.found, len(two_spellings.ambiguous)) == ((), 2)
    taken = match(listing("", ("jump", "a-1"), ("jump", "a_1")), stored("jump/a-1"))
    assert found(taken) == ["jump/a-1"]
    assert [video.video for video in taken.missing] == ["a_1"]


def test_the_folder_that_the_list_names_decides_between_equals() -> None:
    made = listing("ssv2_small", ("Folding something", "7", "frames/7"))
    assert found(match(made, stored("videos/7", "frames/7"))) == ["frames/7"]


@pytest.mark.parametrize("kept", ["-aB_0000001", "-aB_0000001_000012_000022", "-aB_0000001_000013_000023"])
@pytest.mark.parametrize("listed", ["-aB_0000001", "-aB_0000001_000012_000022"])
def test_kinetics_clips_are_found_by_youtube_id(listed: str, kept: str) -> None:
    matched = match(listing("kinetics100", ("unboxing", listed)), stored(f"train_256/unboxing/{kept}", "unboxing/x"))
    assert found(matched) == [f"train_256/unboxing/{kept}"]


def test_youtube_ids_differ_in_case() -> None:
    made = listing("kinetics100", ("unboxing", "AAAAAAAAAAA_000012_000022"), ("unboxing", "aaaaaaaaaaa_000012_000022"))
    matched = match(made, stored("unboxing/aaaaaaaaaaa", "unboxing/AAAAAAAAAAA"))
    assert found(matched) == ["unboxing/AAAAAAAAAAA", "unboxing/aaaaaaaaaaa"]
    assert matched.ways == {"YouTube id": 2}


def test_two_clips_of_one_youtube_id_are_ambiguous_unless_one_has_the_name() -> None:
    made = listing("kinetics100", ("unboxing", "aaaaaaaaaaa_000012_000022"))
    first, second = "unboxing/aaaaaaaaaaa_000001_000011", "unboxing/aaaaaaaaaaa_000005_000015"
    assert len(match(made, stored(first, second)).ambiguous) == 1
    exact = "unboxing/aaaaaaaaaaa_000012_000022"
    assert found(match(made, stored(first, exact, second))) == [exact]


def test_activitynet_videos_are_found_with_and_without_their_prefix() -> None:
    made = listing("activitynet", ("Archery", "v_aB_00000001"), ("BMX", "v_-B_00000001"))
    assert found(match(made, stored("aB_00000001", "v_-B_00000001"))) == ["aB_00000001", "v_-B_00000001"]


def test_hostile_names_are_only_names() -> None:
    names = ["..", "[a]*", "a?b", "~", "$(x)", "-rf", "a\\b", "\u202ea", "%s{}", "!!!", "???", "a\nb"]
    made = Listing(tuple(Listed("train", "c", name) for name in names), "", "class/video")
    matched = match(made, [Stored(name, "c", name) for name in reversed(names)])
    assert found(matched) == names
    assert match(made, stored("c/***", "c/anything")).found == ()


def test_the_order_of_the_store_does_not_matter() -> None:
    rows = [Listed(split, label, video) for split, label, _, video in videos("hmdb51")]
    made = Listing(tuple(rows), "hmdb51", "class/video")
    kept = [Stored(row.video.upper() if i % 3 else row.video, row.label, i) for i, row in enumerate(rows)]
    shuffled = random.Random(0).sample(kept, len(kept))
    first, second = match(made, kept), match(made, shuffled)
    assert first.found == second.found
    assert [one.location for _, one in first.found] == list(range(len(rows)))


def test_the_work_grows_with_the_number_of_videos_not_its_square() -> None:
    def calls(count: int) -> int:
        made = Listing(tuple(Listed("train", f"c{i % 64}", str(i)) for i in range(count)), "ssv2_full", "class/video")
        kept = [Stored(str(i), "flat", i) for i in range(3 * count)]
        counted = Counter[str]()
        before = sys.getprofile()
        sys.setprofile(lambda frame, event, given: counted.update([event]))
        try:
            matched = match(made, kept)
        finally:
            sys.setprofile(before)
        assert len(matched.found) == count
        return counted.total()

    assert calls(2_000) < 9 * calls(250)
