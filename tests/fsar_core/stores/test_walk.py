"""What is recognised below a root, in every layout that downloads and published code leave behind."""

import zipfile
from pathlib import Path

import pytest

from fsar_core.data.stores.walk import Walk, walk
from tests.fsar_core.stores.made_stores import names, write_frames, write_zip

HOSTILE = "_a! # & ( ) + ; @ [b] ~ * ? {x} $(id)_0"


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def seen(found: Walk) -> list[tuple[str | None, str, str, str]]:
    assert found.faults == []
    return sorted((entry.split, entry.folder, entry.name, entry.kind) for entry in found.entries)


@pytest.mark.parametrize("suffix", ["webm", "mp4", "avi", "mkv", "mov", "MP4"])
def test_videos_in_class_folders(tmp_path: Path, suffix: str) -> None:
    touched(tmp_path / "brush_hair" / f"{HOSTILE}.{suffix}")
    touched(tmp_path / "videos" / "catch" / f"v.1.{suffix}")
    assert seen(walk(tmp_path)) == [(None, "brush_hair", HOSTILE, "video"), (None, "catch", "v.1", "video")]


def test_videos_in_split_folders_and_flat(tmp_path: Path) -> None:
    touched(tmp_path / "train" / "run" / "a.mp4")
    touched(tmp_path / "test" / "b.webm")
    touched(tmp_path / "c.mp4")
    touched(tmp_path / "20bn-something-something-v2" / "999001.webm")
    assert {(e.split, e.folder, e.name) for e in walk(tmp_path).entries} == {
        ("train", "run", "a"),
        ("test", "", "b"),
        (None, "", "c"),
        (None, "20bn-something-something-v2", "999001"),
    }


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("999001", (None, "", "999001")),
        ("run/clip", (None, "run", "clip")),
        ("train/run/clip", ("train", "run", "clip")),
        ("frames/val/run/clip", ("val", "run", "clip")),
    ],
)
@pytest.mark.parametrize("files", [names(3), names(3, digits=5, before="img_"), names(3, digits=6, kind="png")])
def test_folders_of_frames(
    tmp_path: Path, folder: str, expected: tuple[str | None, str, str], files: list[str]
) -> None:
    write_frames(tmp_path / folder, files)
    assert seen(walk(tmp_path)) == [(*expected, "frames")]


def test_pictures_beside_videos_make_no_clip(tmp_path: Path) -> None:
    touched(tmp_path / "run" / "a.mp4")
    touched(tmp_path / "run" / "a_001.jpg")
    touched(tmp_path / "001.jpg")
    found = walk(tmp_path)
    assert seen(found) == [(None, "run", "a", "video")]
    assert found.passed_over == {".jpg": 2}


def test_zips_are_entered_wherever_they_lie(tmp_path: Path) -> None:
    write_zip(tmp_path / "hmdb51.zip", ["hmdb51/run/a", f"hmdb51/jump/{HOSTILE}", "__MACOSX/hmdb51/run/a", ".x/y"])
    write_zip(tmp_path / "more" / "ssv2.zip", ["999001", "./999002"])
    write_zip(tmp_path / "more" / "test.ZIP", ["data/test/run/b"], packed=True)
    assert {(e.split, e.folder, e.name) for e in walk(tmp_path).entries} == {
        (None, "run", "a"),
        (None, "jump", HOSTILE),
        (None, "ssv2", "999001"),
        (None, "ssv2", "999002"),
        ("test", "run", "b"),
    }


def test_a_zip_may_be_the_root(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "hmdb51.zip", ["hmdb51/run/a"])
    touched(tmp_path / "other.mp4")
    found = walk(path)
    assert seen(found) == [(None, "run", "a", "zip")]
    assert (found.folder, found.entries[0].location.path) == (tmp_path, path)


@pytest.mark.parametrize("folder", ["../out", "/etc/x", "a/../../x", "a//b", "a\\..\\x", "C:\\x"])
def test_members_that_would_leave_a_zip_are_faults(tmp_path: Path, folder: str) -> None:
    path = write_zip(tmp_path / "s.zip", ["good/run/a", folder])
    found = walk(path)
    assert [entry.name for entry in found.entries] == ["a"]
    (fault,) = found.faults
    assert repr(folder.lstrip()) in fault
    assert "lie in no folder inside the zip" in fault


def test_links_that_leave_the_root_are_faults(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    touched(outside / "run" / "a.mp4")
    touched(root / "run" / "b.mp4")
    (root / "jump").symlink_to(outside / "run")
    (root / "run" / "a.mp4").symlink_to(outside / "run" / "a.mp4")
    (root / "up").symlink_to("..")
    (root / "s.zip").symlink_to(write_zip(outside / "s.zip", ["run/c"]))
    found = walk(root)
    assert [entry.name for entry in found.entries] == ["b"]
    assert len(found.faults) == 4
    assert all("a link that leaves" in fault for fault in found.faults)


def test_links_inside_are_followed_once(tmp_path: Path) -> None:
    touched(tmp_path / "all" / "run" / "a.mp4")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "run").symlink_to("../all/run")
    assert seen(walk(tmp_path)) == [("train", "run", "a", "video")]


def test_circles_end(tmp_path: Path) -> None:
    touched(tmp_path / "a" / "v.mp4")
    touched(tmp_path / "b" / "w.mp4")
    (tmp_path / "a" / "to_b").symlink_to("../b")
    (tmp_path / "b" / "to_a").symlink_to("../a")
    (tmp_path / "self").symlink_to(".")
    found = walk(tmp_path)
    assert sorted(entry.name for entry in found.entries) == ["v", "w"]
    assert found.faults
    assert all("round in a circle" in fault for fault in found.faults)


def test_hidden_entries_are_passed_over(tmp_path: Path) -> None:
    touched(tmp_path / "run" / "a.mp4")
    touched(tmp_path / "run" / "._a.mp4")
    touched(tmp_path / ".cache" / "b.mp4")
    touched(tmp_path / "run" / "readme.txt")
    found = walk(tmp_path)
    assert seen(found) == [(None, "run", "a", "video")]
    assert found.passed_over == {".txt": 1}


def test_archives_that_must_be_unpacked_are_noted(tmp_path: Path) -> None:
    parts = [touched(tmp_path / f"20bn-something-something-v2-{number:02d}") for number in range(3)]
    rar = touched(tmp_path / "hmdb51_org.rar")
    packed = tmp_path / "videos.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("run/a.mp4", b"")
    found = walk(tmp_path)
    assert sorted(found.archives) == sorted([*parts, rar, packed])
    assert "no clips in it; there must be videos (.mp4, .webm" in found.faults[0]


def test_what_cannot_be_walked_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_text("no zip")
    assert "not a zip that can be read" in walk(tmp_path).faults[0]
    assert walk(tmp_path / "none").faults == [f"{tmp_path / 'none'}: no such folder or zip"]


def test_names_that_are_no_text_are_faults(tmp_path: Path) -> None:
    try:
        touched(tmp_path / "run" / "caf\udce9.mp4")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (fault,) = walk(tmp_path).faults
    assert "no UTF-8 text" in fault


def test_the_count_is_told_at_the_end(tmp_path: Path) -> None:
    for number in range(3):
        touched(tmp_path / "run" / f"{number}.mp4")
    told: list[int] = []
    walk(tmp_path, told.append)
    assert told == [3]
