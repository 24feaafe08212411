import json
from pathlib import Path

import pytest

from fsar_core.data.listing import BENCHMARKS, BadLists, read_annotations
from tests.fsar_core.listing.made_lists import write_ssv2_annotations

SSV2, KINETICS, ACTIVITYNET = (BENCHMARKS[name] for name in ("ssv2_full", "kinetics100", "activitynet"))
ROWS = [("1", "Folding something", "train"), ("2", "Holding something", "validation")]


def faults(benchmark: str, path: Path) -> str:
    with pytest.raises(BadLists) as caught:
        read_annotations(BENCHMARKS[benchmark], path)
    return "\n".join(caught.value.lines)


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
@pytest.mark.parametrize("inside", ["", "labels"])
def test_ssv2_classes_are_templates_without_brackets(prefix: str, inside: str, tmp_path: Path) -> None:
    write_ssv2_annotations(tmp_path / inside, ROWS, prefix)
    for path in (tmp_path, tmp_path / inside / f"{prefix}train.json"):
        known = read_annotations(SSV2, path)
        assert known.labels == {"1": "Folding something", "2": "Holding something"}
        assert known.subsets == {"1": "train", "2": "val"}


def test_ssv2_faults_are_told_together(tmp_path: Path) -> None:
    assert "no official train annotation here; needed are labels.json, train.json" in faults("ssv2_full", tmp_path)
    write_ssv2_annotations(tmp_path, ROWS)
    (tmp_path / "labels.json").write_text('{"Folding something": "0"}')
    (tmp_path / "train.json").write_text(json.dumps([{"id": 1, "template": "x"}, 7, {"id": "2", "template": "Other"}]))
    told = faults("ssv2_full", tmp_path)
    assert "train.json: entry 0 and 1 more: an entry has 'id' and 'template', both text" in told
    assert "train.json: entry 2: class 'Other' is not in the labels file" in told
    assert "validation.json: entry 0: class 'Holding something' is not in the labels file" in told
    assert "video '2' is of 'Holding something' here and of 'Other' elsewhere" in told
    (tmp_path / "train.json").write_text("{}")
    assert "a JSON list of objects" in faults("ssv2_full", tmp_path)
    (tmp_path / "train.json").write_bytes(b"\xff")
    assert "not a JSON file that can be read" in faults("ssv2_full", tmp_path)
    write_ssv2_annotations(tmp_path, ROWS, "something-something-v2-")
    assert "2 files for train" in faults("ssv2_full", tmp_path)


def test_a_labels_file_that_is_none_is_told(tmp_path: Path) -> None:
    write_ssv2_annotations(tmp_path, ROWS)
    (tmp_path / "labels.json").write_text("[1, 2]")
    assert "the labels file is a JSON object" in faults("ssv2_small", tmp_path)


def test_kinetics_clips_are_known_by_their_youtube_id(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        "label,youtube_id,time_start,time_end,split,is_cc\nair drumming,-aB_0000001,0,10,train,0\n"
    )
    (tmp_path / "validate.csv").write_bytes(
        b'\xef\xbb\xbflabel,youtube_id,time_start,time_end,split\r\n"hurling (sport)",cccccccccc_,1,11,validate\r\n'
    )
    known = read_annotations(KINETICS, tmp_path)
    assert known.labels == {"-aB_0000001": "air drumming", "cccccccccc_": "hurling (sport)"}
    assert known.subsets == {"-aB_0000001": "train", "cccccccccc_": "val"}
    assert read_annotations(KINETICS, tmp_path / "train.csv").labels == {"-aB_0000001": "air drumming"}


def test_kinetics_faults_are_told(tmp_path: Path) -> None:
    assert "no annotations of Kinetics-100 here" in faults("kinetics100", tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n")
    assert "a.csv:2 and 1 more: a line has the columns label and youtube_id" in faults("kinetics100", tmp_path)
    (tmp_path / "a.csv").write_text("label,youtube_id\nx,aaaaaaaaaaa\ny,aaaaaaaaaaa\n")
    assert "a.csv:3: video 'aaaaaaaaaaa' is of 'y' here and of 'x' elsewhere" in faults("kinetics100", tmp_path)
    (tmp_path / "a.csv").write_bytes(b"label,youtube_id\n\xff,1\n")
    assert "not a csv file that can be read" in faults("kinetics100", tmp_path)


def test_activitynet_videos_of_one_class_are_known(tmp_path: Path) -> None:
    database = {
        "aaaaaaaaaaa": {"subset": "training", "annotations": [{"label": "Archery"}, {"label": "Archery"}]},
        "bbbbbbbbbbb": {"subset": "validation", "annotations": [{"label": "Archery"}, {"label": "BMX"}]},
        "ccccccccccc": {"subset": "testing", "annotations": []},
        "ddddddddddd": 3,
    }
    path = tmp_path / "activity_net.v1-3.min.json"
    path.write_text(json.dumps({"database": database}))
    known = read_annotations(ACTIVITYNET, tmp_path)
    assert known.labels == {"aaaaaaaaaaa": "Archery"}
    assert known.subsets == {"aaaaaaaaaaa": "train"}
    path.write_text("[]")
    assert "a JSON object with a 'database'" in faults("activitynet", path)


def test_a_place_without_annotations_is_told(tmp_path: Path) -> None:
    assert "no such file or folder" in faults("activitynet", tmp_path / "nothing")
    assert "cannot be read: File name too long" in faults("activitynet", tmp_path / ("x" * 300))
    assert "HMDB51 needs no annotations" in faults("hmdb51", tmp_path)
