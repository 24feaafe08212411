import json
from pathlib import Path

import pytest

from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.listing import BENCHMARKS, Annotations, read_lists, which_known
from tests.fsar_core.listing.made_lists import (
    COLUMNS,
    NAMED,
    NUMBERED,
    TWO_SLASHES,
    Line,
    as_found,
    as_made,
    videos,
    write_lists,
)

FORMS: dict[str, tuple[Line, str]] = {
    "cmn": (NAMED, "{}.list"),
    "trx": (NAMED, "{}list03.txt"),
    "team": (NAMED, "{}list.txt"),
    "library": (NAMED, "{}.txt"),
    "trx numbers": (NUMBERED, "{}list07.txt"),
    "hyrsm ssv2": (NUMBERED, "{}_few_shot.txt"),
    "hyrsm": (TWO_SLASHES, "{}_few_shot.txt"),
    "columns": (COLUMNS, "{}_videofolder.txt"),
}
UNNUMBERED = {"activitynet": {"trx numbers", "hyrsm ssv2", "columns"}}
"""No order of numbers is published."""


@pytest.mark.parametrize(
    ("benchmark", "form"), [(one, form) for one in BENCHMARKS for form in FORMS if form not in UNNUMBERED.get(one, ())]
)
def test_every_form_gives_the_official_classes(benchmark: str, form: str, tmp_path: Path) -> None:
    write_lists(tmp_path, benchmark, *FORMS[form])
    listing = read_lists(tmp_path, BENCHMARKS[benchmark])
    assert as_found(listing) == as_made(benchmark)
    assert listing.benchmark == benchmark
    assert listing.tolerated == {}


def test_class_names_may_be_spelt_as_folders_are(tmp_path: Path) -> None:
    write_lists(tmp_path, "kinetics100", lambda _s, label, _n, video: f"{label.replace(' ', '_').upper()}/{video}")
    assert as_found(read_lists(tmp_path, BENCHMARKS["kinetics100"])) == as_made("kinetics100")
    spaces = tmp_path / "activitynet"
    write_lists(spaces, "activitynet", lambda _s, label, _n, video: f"{label.replace(' ', '')}/{video}")
    assert as_found(read_lists(spaces, BENCHMARKS["activitynet"])) == as_made("activitynet")


def test_hints_and_frame_counts_are_kept(tmp_path: Path) -> None:
    write_lists(tmp_path / "paths", "hmdb51", TWO_SLASHES)
    paths = read_lists(tmp_path / "paths", BENCHMARKS["hmdb51"])
    assert all(video.hint == f"videos/{video.label}/{video.video}.mp4" for video in paths.videos)
    assert {video.frames for video in paths.videos} == {None}
    write_lists(tmp_path / "columns", "ssv2_full", COLUMNS)
    columns = read_lists(tmp_path / "columns", BENCHMARKS["ssv2_full"])
    assert all(video.hint == f"frames/{video.video}" and video.frames == 45 for video in columns.videos)


def test_windows_files_are_tolerated_and_counted(tmp_path: Path) -> None:
    write_lists(tmp_path, "hmdb51", NAMED)
    for split in SPLITS:
        path = tmp_path / f"{split}list03.txt"
        path.write_bytes(b"\xef\xbb\xbf\r\n" + path.read_bytes().replace(b"\n", b" \r\n\r\n"))
    listing = read_lists(tmp_path, BENCHMARKS["hmdb51"])
    assert as_found(listing) == as_made("hmdb51")
    blank = 3 + sum(split_count - 1 for split_count in listing.counts().values())
    assert listing.tolerated == {"byte order marks": 3, "files with Windows line ends": 3, "blank lines": blank}


def test_absolute_paths_of_another_machine_are_cut_and_counted(tmp_path: Path) -> None:
    write_lists(tmp_path, "ucf101", lambda _s, label, number, video: f"/home/me/ucf/{label}/{video} 90 {number}")
    listing = read_lists(tmp_path, BENCHMARKS["ucf101"])
    assert as_found(listing) == as_made("ucf101")
    assert all(video.hint == f"{video.label}/{video.video}" for video in listing.videos)
    assert listing.tolerated == {"absolute paths, cut to their last folder and name": len(listing.videos)}


def test_annotations_tell_the_classes_of_numbers_in_any_order(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_small", lambda _s, _l, number, video: f"{video} 45 {(number * 7 + 100) % 173}")
    known = Annotations({video: label for _, label, _, video in videos("ssv2_small")})
    listing = read_lists(tmp_path, BENCHMARKS["ssv2_small"], known)
    assert as_found(listing) == as_made("ssv2_small")
    shuffled = tmp_path / "shuffled"
    write_lists(
        shuffled,
        "ssv2_small",
        lambda split, _l, number, video: f"{split}{9 - number if number < 10 else number}/{video}",
    )
    listing = read_lists(shuffled, BENCHMARKS["ssv2_small"], known)
    assert as_found(listing) == as_made("ssv2_small")
    assert listing.notes == ("class numbers that are not of the published order, the videos name their classes: 30",)


def test_numbers_that_nothing_checks_are_told(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_small", NUMBERED)
    listing = read_lists(tmp_path, BENCHMARKS["ssv2_small"])
    note = "class numbers that only the published order names, nothing checks them: 100"
    assert listing.notes == (note,)
    assert note in which_known(listing)
    half = Annotations({video: label for i, (_, label, _, video) in enumerate(videos("ssv2_small")) if i % 2})
    listing = read_lists(tmp_path, BENCHMARKS["ssv2_small"], half)
    assert listing.notes == ("listed videos that are not in the official annotations: 100",)


def test_ta2n_class_map_numbers_test_train_val(tmp_path: Path) -> None:
    first = {"test": 0, "train": 24, "val": 88}
    numbers = {video: first[split] + number for split, _, number, video in videos("ssv2_small")}
    (tmp_path / "class_map.json").write_text(json.dumps(numbers))
    for path in (tmp_path, tmp_path / "class_map.json"):
        listing = read_lists(path, BENCHMARKS["ssv2_small"])
        assert as_found(listing) == as_made("ssv2_small")
        assert listing.format == "class map"


def test_a_class_map_of_other_numbers_needs_annotations(tmp_path: Path) -> None:
    names = sorted({label for _, label, _, _ in videos("ssv2_full")})
    numbers = {video: names.index(label) for _, label, _, video in videos("ssv2_full")}
    (tmp_path / "class_map.json").write_text(json.dumps(numbers))
    known = Annotations({video: label for _, label, _, video in videos("ssv2_full")})
    assert as_found(read_lists(tmp_path, BENCHMARKS["ssv2_full"], known)) == as_made("ssv2_full")


@pytest.mark.parametrize("join", [" ", ","])
def test_a_list_of_the_whole_data_set_gives_what_the_split_takes(join: str, tmp_path: Path) -> None:
    known = {video: (split, label) for split, label, _, video in videos("ssv2_full")}
    names = sorted({label for _, label in known.values()})
    rows = {video: names.index(label) for video, (_, label) in known.items()} | {"7": 173}
    for file, parity in (("train", 0), ("val", 1)):
        lines = [f"videos/{video}.webm{join}{number}" for video, number in rows.items() if int(video) % 2 == parity]
        (tmp_path / f"sthv2_{file}_list_videos.txt").write_text("\n".join(lines))
    annotations = Annotations({video: label for video, (_, label) in known.items()} | {"7": "Another class"})
    wanted = {row for row in as_made("ssv2_full") if (int(row[2]) % 2 == 0) == (row[0] == "train")}
    listing = read_lists(tmp_path, BENCHMARKS["ssv2_full"], annotations)
    assert as_found(listing) == wanted
    assert listing.tolerated == {
        "videos of classes that the split does not have": 1,
        "videos of the official set that the split does not take from": 100,
    }
    both = read_lists(tmp_path, BENCHMARKS["ssv2_full_77k"], annotations)
    assert as_found(both) == wanted | {row for row in as_made("ssv2_full") if row[0] == "train"}


def test_a_whole_list_of_ucf_is_split_by_class(tmp_path: Path) -> None:
    numbers = {label: i for i, label in enumerate(sorted({label for _, label, _, _ in videos("ucf101")}))}
    for i, file in enumerate(("train", "val")):
        rows = [row for count, row in enumerate(videos("ucf101")) if count % 2 == i]
        lines = [f"{label}/{video}.avi {numbers[label]}" for _, label, _, video in rows]
        (tmp_path / f"ucf101_{file}_split_1_videos.txt").write_text("\n".join(lines))
    assert as_found(read_lists(tmp_path, BENCHMARKS["ucf101"])) == as_made("ucf101")


def test_lists_of_ones_own_are_by_name(tmp_path: Path) -> None:
    for split, label in (("train", "jump"), ("val", "run"), ("test", "sit")):
        (tmp_path / f"{split}.txt").write_text(f"{label}/take 1\n{label}/take 2.mp4\n")
    listing = read_lists(tmp_path, None)
    assert listing.benchmark == ""
    assert as_found(listing) == {
        ("train", "jump", "take 1"),
        ("train", "jump", "take 2"),
        ("val", "run", "take 1"),
        ("val", "run", "take 2"),
        ("test", "sit", "take 1"),
        ("test", "sit", "take 2"),
    }
    assert which_known(listing).startswith("a data set of your own: 1 / 1 / 1 classes, 2 / 2 / 2 videos")
