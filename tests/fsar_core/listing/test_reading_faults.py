import json
from pathlib import Path

import pytest

from fsar_core.data.listing import BENCHMARKS, Annotations, BadLists, read_lists
from fsar_core.data.listing.checks import check_variant
from fsar_core.data.listing.rows import Rows
from tests.fsar_core.listing.made_lists import COLUMNS, NAMED, NUMBERED, TWO_SLASHES, Line, full, videos, write_lists


def faults(path: Path, benchmark: str = "", annotations: Annotations | None = None) -> list[str]:
    with pytest.raises(BadLists) as caught:
        read_lists(path, BENCHMARKS.get(benchmark), annotations)
    assert all(line in str(caught.value) for line in caught.value.lines[:50])
    return list(caught.value.lines)


def put(path: Path, number: int, line: bytes) -> None:
    """Replaces a line, counted from 1."""
    lines = path.read_bytes().split(b"\n")
    lines[number - 1] = line
    path.write_bytes(b"\n".join(lines))


def test_all_malformed_lines_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_small", NAMED)
    put(tmp_path / "trainlist03.txt", 3, b"no class")
    put(tmp_path / "trainlist03.txt", 9, b"Folding something/..")
    put(tmp_path / "vallist03.txt", 1, b"caf\xe9/1")
    put(tmp_path / "testlist03.txt", 4, b"test3/1")
    told = faults(tmp_path, "ssv2_small")
    assert [line.split(": ")[0] for line in told] == [
        "trainlist03.txt:3",
        "trainlist03.txt:9",
        "vallist03.txt:1",
        "testlist03.txt:4",
    ]
    assert "class/video, train8/video, label//path" in told[0]
    assert "save it as UTF-8" in told[2]
    assert "this line is 'number/video', those before are 'class/video'" in told[3]


def test_a_list_in_the_place_of_another_is_told_once(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_full", NUMBERED)
    (tmp_path / "testlist03.txt").write_bytes((tmp_path / "vallist03.txt").read_bytes())
    assert faults(tmp_path, "ssv2_full") == [
        "testlist03.txt:1 and 23 more: the line says val, the file is the list for test"
    ]


def test_a_class_of_another_split_is_told(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_full", NAMED)
    (tmp_path / "testlist03.txt").write_bytes((tmp_path / "vallist03.txt").read_bytes())
    told = faults(tmp_path, "ssv2_full")
    assert told[0].startswith("testlist03.txt:1: classes of another split in SSv2-Full (12): ")
    assert "(test, should be val)" in told[0]
    assert told[1].startswith("SSv2-Full: classes without a video in the lists (24): ")


def test_lists_of_another_benchmark_are_named(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_small", NAMED)
    told = faults(tmp_path, "ssv2_full")
    assert "not classes of SSv2-Full (45): " in told[0]
    assert told[0].endswith("these are the classes of SSv2-Small: import the lists as ssv2_small")
    assert ": classes of another split in SSv2-Full (" in told[1]
    assert "classes without a video in the lists (45): " in told[2]
    assert len(told) == 3


def test_numbered_lists_of_another_benchmark_are_found_by_annotations(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_small", NUMBERED)
    known = Annotations({video: label for _, label, _, video in videos("ssv2_small")})
    assert "import the lists as ssv2_small" in faults(tmp_path, "ssv2_full", known)[0]


def test_numbered_lists_of_another_benchmark_are_found_by_their_counts(tmp_path: Path) -> None:
    for split, count in BENCHMARKS["ssv2_small"].expected().items():
        classes = len(BENCHMARKS["ssv2_small"].split.labels(split))
        lines = [f"{split}{i % classes}/{split[:2]}{i}" for i in range(count)]
        (tmp_path / f"{split}list07.txt").write_text("\n".join(lines))
    assert faults(tmp_path, "ssv2_full") == [
        "6,400 / 1,200 / 2,400 videos: these are the lists of SSv2-Small, not of SSv2-Full; import as ssv2_small"
    ]
    assert len(read_lists(tmp_path, BENCHMARKS["ssv2_small"]).videos) == 10_000


@pytest.mark.parametrize(("given", "asked"), [("ssv2_full_77k", "ssv2_full"), ("ssv2_full", "ssv2_full_77k")])
def test_the_two_lists_of_ssv2_full_are_told_apart_by_their_counts(given: str, asked: str) -> None:
    rows = Rows()
    check_variant(rows, full(given), BENCHMARKS[given])
    assert not rows.faults
    check_variant(rows, full(given), BENCHMARKS[asked])
    assert rows.faults.lines()[0].endswith(f"import as {given}")


def test_official_validation_clips_in_train_are_the_variant(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_full", NUMBERED)
    rows = videos("ssv2_full")
    labels = {video: label for _, label, _, video in rows}
    sets = {video: "train" if split == "train" and i % 2 else "val" for i, (split, _, _, video) in enumerate(rows)}
    told = faults(tmp_path, "ssv2_full", Annotations(labels, sets))
    assert told == [
        "trainlist03.txt:1 and 63 more: train videos from the official val set, from which SSv2-Full takes none; "
        "lists of SSv2-Full with 77,500 train videos (TA2N) are imported as ssv2_full_77k"
    ]
    listing = read_lists(tmp_path, BENCHMARKS["ssv2_full_77k"], Annotations(labels, sets))
    assert listing.counts() == {"train": 128, "val": 24, "test": 48}
    tested = {video: "train" if split == "test" else sets[video] for split, _, _, video in rows}
    told = faults(tmp_path, "ssv2_full_77k", Annotations(labels, tested))
    assert told[0].startswith("testlist03.txt:1 and 47 more: test videos from the official train set")


def test_names_and_annotations_are_held_against_each_other(tmp_path: Path) -> None:
    write_lists(tmp_path, "kinetics100", NAMED)
    rows = videos("kinetics100")
    labels = {video[:11]: label for _, label, _, video in rows}
    listing = read_lists(tmp_path, BENCHMARKS["kinetics100"], Annotations(labels))
    assert listing.notes == ()
    labels[rows[2][3][:11]] = "unboxing"
    told = faults(tmp_path, "kinetics100", Annotations(labels))
    assert told == [
        f"trainlist03.txt:3: video {rows[2][3]!r} is of 'arm wrestling' here, of 'unboxing' in the annotations"
    ]


def test_a_number_of_two_classes_is_told(tmp_path: Path) -> None:
    write_lists(tmp_path, "hmdb51", TWO_SLASHES)
    put(tmp_path / "trainlist03.txt", 1, b"train0//videos/catch/x.avi")
    told = faults(tmp_path, "hmdb51")
    assert told[0] == (
        "trainlist03.txt:1: class number 0 of train is one class, its videos are of 2: 'catch' (1), 'brush_hair' (1); "
        "these are not the lists' videos"
    )
    assert told[-1].startswith("HMDB51 needs no lists")


def test_a_class_of_two_numbers_is_told(tmp_path: Path) -> None:
    write_lists(tmp_path, "hmdb51", TWO_SLASHES)
    put(tmp_path / "trainlist03.txt", 4, b"train31//videos/catch/x.avi")
    told = faults(tmp_path, "hmdb51")
    assert told[0].endswith(
        "class number 31 of train and class number 1 of train are both 'catch'; a class has one number"
    )


@pytest.mark.parametrize("line", [NUMBERED, COLUMNS], ids=["prefix", "columns"])
def test_numbers_without_a_published_order_need_annotations(line: Line, tmp_path: Path) -> None:
    write_lists(tmp_path, "activitynet", line)
    told = faults(tmp_path, "activitynet")
    assert len(told) == 1
    assert told[0].endswith("give the official annotations (activity_net.v1-3.min.json)")


def test_official_class_numbers_are_no_numbers_of_a_split(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_full", lambda _s, _l, number, video: f"{video} 45 {number + 74}")
    told = faults(tmp_path, "ssv2_full")
    assert len(told) == 1
    assert "no published order of class numbers of SSv2-Full fits" in told[0]


def test_a_list_of_a_whole_data_set_does_not_choose_videos(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("air_drumming/AbCdEfGhIjK.mp4 3\n")
    assert faults(tmp_path, "kinetics100") == [
        "train.txt:1: a list of the whole data set; Kinetics-100 is a choice of its videos"
    ]


def test_the_recognition_lists_of_ucf_are_not_few_shot_lists(tmp_path: Path) -> None:
    (tmp_path / "trainlist01.txt").write_text("Archery/v_Archery_g01_c01.avi 3\n")
    (tmp_path / "testlist01.txt").write_text("Archery/v_Archery_g02_c01.avi\n")
    assert faults(tmp_path, "ucf101")[-1].startswith("UCF101 needs no lists")


def test_a_video_is_listed_once(tmp_path: Path) -> None:
    write_lists(tmp_path, "ssv2_small", NAMED)
    path = tmp_path / "vallist03.txt"
    put(path, 2, path.read_bytes().split(b"\n")[0])
    line = path.read_text().split("\n")[0]
    assert faults(tmp_path, "ssv2_small") == [f"vallist03.txt:2: {line} is listed twice, before at vallist03.txt:1"]


def test_lists_of_ones_own_give_names_and_disjoint_classes(tmp_path: Path) -> None:
    for split, label in (("train", "jump"), ("val", "jump"), ("test", "sit")):
        (tmp_path / f"{split}.txt").write_text(f"{label}/{split}\n")
    assert faults(tmp_path) == ["class 'jump': is in train and val; the splits' classes must be disjoint"]
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.txt").write_text("1 20 3\n2 20 3\n")
    told = faults(tmp_path)
    assert "lists of a data set of your own give its name: class/video" in told[0]
    assert told[0].startswith("train.txt:1 and 5 more: ")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[1]", "holds none"),
        ("{}", "holds none"),
        ("{", "not a JSON file"),
        ('{"1": "2"}', "a class is a number from 0, got '2'"),
        ('{"1": -2}', "a class is a number from 0, got '-2'"),
        ('{"1": true}', "a class is a number from 0, got 'True'"),
        ('{"../1": 2}', "has no slash"),
        ('{"..": 2}', "is no '.' or '..'"),
        ('{"1": 2, "1": 2}', "is listed twice"),
    ],
)
def test_a_bad_class_map_is_told(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(content)
    assert told in " ".join(faults(tmp_path / "map.json", "ssv2_small"))


def test_missing_and_empty_lists_are_told(tmp_path: Path) -> None:
    write_lists(tmp_path, "hmdb51", NAMED)
    (tmp_path / "vallist03.txt").unlink()
    assert (
        "no list for val; train, val and test are needed, there is trainlist03.txt, testlist03.txt"
        in faults(tmp_path, "hmdb51")[0]
    )
    (tmp_path / "vallist03.txt").write_text("\n\n")
    assert "the list names no video" in faults(tmp_path, "hmdb51")[0]


def test_several_lists_for_a_split_are_named_and_one_file_decides(tmp_path: Path) -> None:
    write_lists(tmp_path, "hmdb51", NAMED)
    write_lists(tmp_path, "hmdb51", NUMBERED, "{}list07.txt")
    told = faults(tmp_path, "hmdb51")
    assert told == [
        f"{tmp_path}: 2 lists for {split}: {split}list03.txt, {split}list07.txt; give the file of the one that is meant"
        for split in ("train", "val", "test")
    ]
    listing = read_lists(tmp_path / "testlist07.txt", BENCHMARKS["hmdb51"])
    assert listing.format == "number/video"
    assert len(listing.videos) == 102
    write_lists(tmp_path, "hmdb51", NUMBERED, "{}list.txt")
    write_lists(tmp_path, "hmdb51", NAMED, "{}.txt")
    assert read_lists(tmp_path / "train.txt", BENCHMARKS["hmdb51"]).format == "class/video"
    assert read_lists(tmp_path / "trainlist.txt", BENCHMARKS["hmdb51"]).format == "number/video"


def test_a_place_without_lists_is_told(tmp_path: Path) -> None:
    assert "no such file or folder" in faults(tmp_path / "nothing")[0]
    assert "cannot be read: File name too long" in faults(tmp_path / ("x" * 300))[0]
    (tmp_path / "classInd.txt").write_text("1 Archery\n")
    (tmp_path / "train.json").write_text(json.dumps([{"id": "1"}]))
    told = faults(tmp_path)[0]
    assert "no lists; they are named like train.list" in told
    assert told.endswith("there is classInd.txt, train.json")
    assert "not named like a list of train, val or test" in faults(tmp_path / "classInd.txt")[0]
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"1": 2}')
    assert "2 class maps: a.json, b.json" in faults(tmp_path)[0]
